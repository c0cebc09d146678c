//! The visitor's data in the dict. This is all that the app needs to know about sessions: a header
//! with JSON.

use http::HeaderValue;
use serde_json::{Map, Value, json};

use super::article::{self, Article};

/// A visitor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Visitor {
    dict: Map<String, Value>,
}

impl Visitor {
    /// Reads `X-Session`. Without a session the dict is empty.
    pub(super) fn of(header: Option<&HeaderValue>) -> Self {
        let dict = header.and_then(|value| serde_json::from_slice(value.as_bytes()).ok());
        Self { dict: dict.unwrap_or_default() }
    }

    /// The name given at log-in.
    pub(super) fn name(&self) -> Option<&str> {
        self.dict.get("name")?.as_str()
    }

    /// Whether the session lasts longer than the browser is open.
    pub(super) fn is_remembered(&self) -> bool {
        self.dict.get("remember").and_then(Value::as_bool).unwrap_or(false)
    }

    /// The greeting for the basket.
    pub(super) fn greeting(&self) -> &str {
        self.dict.get("greeting").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn count(&self) -> u64 {
        self.dict.get("count").and_then(Value::as_u64).unwrap_or(0)
    }

    /// How many of an article are in the basket.
    pub(super) fn pieces(&self, article: &Article) -> u64 {
        let pieces = self.dict.get("basket").and_then(|basket| basket.get(article.id));
        pieces.and_then(Value::as_u64).unwrap_or(0)
    }

    /// The contents of the basket, in the order of the shelf.
    pub(super) fn basket(&self) -> impl Iterator<Item = (&'static Article, u64)> {
        let pieces = article::SHELF.iter().map(|article| (article, self.pieces(article)));
        pieces.filter(|&(_, pieces)| pieces > 0)
    }

    /// The visitor's id in the diary.
    pub(super) fn diary_id(&self) -> Option<&str> {
        self.dict.get("diary")?.as_str()
    }

    /// The whole dict with some members replaced, for `X-Session-Save`; null removes one.
    pub(super) fn with(&self, members: &Value) -> String {
        let mut dict = self.dict.clone();
        for (key, value) in members.as_object().into_iter().flatten() {
            if value.is_null() {
                dict.remove(key);
            } else {
                dict.insert(key.clone(), value.clone());
            }
        }
        Value::Object(dict).to_string()
    }

    /// A merge patch that sets the number of an article, for `X-Session-Merge`.
    pub(super) fn patch(article: &Article, pieces: u64) -> Value {
        let pieces = if pieces == 0 { Value::Null } else { pieces.into() };
        json!({ "basket": { article.id: pieces } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(dict: &str) -> Visitor {
        Visitor::of(HeaderValue::from_str(dict).ok().as_ref())
    }

    #[test]
    fn whatever_the_dict_holds_is_read_without_a_fault() {
        for dict in ["", "{}", "[]", "null", r#"{"name":1,"count":"x","basket":[1],"diary":{}}"#] {
            let visitor = visitor(dict);
            assert_eq!(visitor.name(), None, "{dict}");
            assert_eq!(visitor.count(), 0, "{dict}");
            assert_eq!(visitor.basket().count(), 0, "{dict}");
            assert_eq!(visitor.diary_id(), None, "{dict}");
        }
        assert_eq!(Visitor::of(None), Visitor::default());
    }

    #[test]
    fn a_save_keeps_what_it_does_not_name() {
        let visitor = visitor(r#"{"count":1,"name":"Zo\u00eb"}"#);
        assert_eq!(visitor.with(&json!({"count": 2})), r#"{"count":2,"name":"Zoë"}"#);
        assert_eq!(visitor.with(&json!({"count": null})), r#"{"name":"Zoë"}"#);
    }

    #[test]
    fn a_patch_names_nothing_but_what_changes() {
        let Some(scarf) = article::find("scarf") else {
            unreachable!("no scarf on the shelf");
        };
        assert_eq!(Visitor::patch(scarf, 2).to_string(), r#"{"basket":{"scarf":2}}"#);
        assert_eq!(Visitor::patch(scarf, 0).to_string(), r#"{"basket":{"scarf":null}}"#);
    }
}
