//! Creates and registers families of metrics in one step, so that none is forgotten.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

/// Creates families in a registry.
pub(super) struct Families<'a> {
    registry: &'a Registry,
}

impl<'a> Families<'a> {
    pub(super) fn of(registry: &'a Registry) -> Self {
        Self { registry }
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        let family = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    pub(super) fn labelled<const N: usize>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: [&str; N],
    ) -> prometheus::Result<Vec<IntCounter>> {
        let family = self.counters(name, help, &[label])?;
        Ok(values.iter().map(|value| family.with_label_values(&[value])).collect())
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let counter = IntCounter::new(name, help)?;
        self.registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> prometheus::Result<IntGauge> {
        let options = labels.iter().fold(Opts::new(name, help), |options, (name, value)| {
            options.const_label(*name, *value)
        });
        let gauge = IntGauge::with_opts(options)?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    pub(super) fn labelled_gauges(
        &self,
        name: &str,
        help: &str,
        label: &str,
    ) -> prometheus::Result<IntGaugeVec> {
        let family = IntGaugeVec::new(Opts::new(name, help), &[label])?;
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    pub(super) fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> prometheus::Result<Histogram> {
        let histogram =
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
        self.registry.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }

    /// One histogram for each value of a label.
    pub(super) fn histograms<const N: usize>(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        label: &str,
        values: [&str; N],
    ) -> prometheus::Result<Vec<Histogram>> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let family = HistogramVec::new(options, &[label])?;
        self.registry.register(Box::new(family.clone()))?;
        Ok(values.iter().map(|value| family.with_label_values(&[value])).collect())
    }

    #[cfg(target_os = "linux")]
    pub(super) fn process(&self) -> prometheus::Result<()> {
        let collector = prometheus::process_collector::ProcessCollector::for_self();
        self.registry.register(Box::new(collector))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn process(&self) -> prometheus::Result<()> {
        Ok(())
    }
}
