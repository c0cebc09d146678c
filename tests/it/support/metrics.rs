//! The answer of `/metrics`.

use std::collections::BTreeMap;

/// Every series with its value, and the comments on the families.
#[derive(Debug)]
pub struct Metrics {
    pub text: String,
    series: BTreeMap<String, f64>,
}

impl Metrics {
    pub fn parse(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            (series.to_owned(), value.parse().expect("a number"))
        });
        Self { series: series.collect(), text }
    }

    /// The value of a series, written as `name{label="value"}` with labels in order.
    pub fn get(&self, series: &str) -> Option<f64> {
        self.series.get(series).copied()
    }

    /// The sum of every series with this name.
    pub fn sum(&self, name: &str) -> f64 {
        let of_name = self.series.iter().filter(|(series, _)| {
            series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        });
        of_name.map(|(_, value)| value).sum()
    }

    /// The type of a family; fails if it has no HELP line.
    pub fn type_of(&self, family: &str) -> Option<String> {
        let help = format!("# HELP {family} ");
        let kind = format!("# TYPE {family} ");
        let kind = self.text.lines().find_map(|line| line.strip_prefix(&kind))?;
        assert!(self.text.lines().any(|line| line.starts_with(&help)), "no HELP for {family}");
        Some(kind.to_owned())
    }
}
