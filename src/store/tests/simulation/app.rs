//! The answers of the app.

use std::collections::BTreeMap;

use super::model::{Content, Members};
use super::turns::{New, Wish};
use super::{Request, World};
use crate::session::dict::Dict;
use crate::session::directive::{Directive, Save};

impl World<'_> {
    /// The app's answer to its dict, and the expected content.
    pub(super) fn wish(&self, request: &Request) -> (Directive, Content) {
        let value = request.number.to_string();
        let key = match request.new.sees {
            Some(_) => "blog".to_owned(),
            None => format!("k{value}"),
        };
        let first = request.shown.keys().find(|key| *key != "user").cloned();
        let user = self.users[request.new.user].clone();
        let mut save = Save::default();
        let mut whole = request.shown.clone();
        let mut patch: BTreeMap<String, Option<String>> = BTreeMap::new();
        let mut is_whole = true;
        let wish = match request.new.wish {
            // It cannot change the user, which it cannot see.
            Wish::LogIn if request.new.is_hidden("user") => Wish::Save,
            Wish::LogInByMerge if request.new.is_hidden("user") => Wish::Merge,
            wish => wish,
        };
        match wish {
            Wish::Read => return (Directive::Keep, Content::Same),
            Wish::Delete | Wish::DeleteAll => {
                let all = wish == Wish::DeleteAll;
                return (Directive::Delete { all, beside_a_save: false }, Content::Same);
            }
            Wish::EndOthers => return (Directive::EndOthers, Content::Same),
            Wish::Renew => {
                save.renew = true;
                return (limited(save, request.new), Content::Same);
            }
            Wish::Save => drop(whole.insert(key, value)),
            Wish::SaveShared => {
                whole.insert("shared".into(), value.clone());
                whole.insert(key, value);
            }
            Wish::SaveWithoutAKey => {
                whole.insert(key, value);
                first.map(|first| whole.remove(&first));
            }
            Wish::LogIn => drop(whole.insert("user".into(), user)),
            Wish::ForgetUser => drop(whole.remove("user")),
            Wish::Empty => whole.clear(),
            Wish::SaveAndRenew => {
                save.renew = true;
                whole.insert(key, value);
            }
            Wish::SaveAndEndOthers => {
                save.others = true;
                whole.insert(key, value);
            }
            Wish::Merge | Wish::MergeWithoutAKey | Wish::LogInByMerge => {
                is_whole = false;
                patch.insert(key, Some(value));
                if wish == Wish::MergeWithoutAKey {
                    patch.extend(first.map(|first| (first, None)));
                }
                if wish == Wish::LogInByMerge {
                    patch.insert("user".into(), Some(user));
                }
            }
        }
        let content = if is_whole {
            save.dict = Some(parsed(&whole));
            Content::Whole(whole)
        } else {
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".into());
            let nulls = patch.iter().map(|(key, value)| (key.clone(), text(value))).collect();
            save.patch = Some(parsed(&nulls));
            Content::Patch(patch)
        };
        (limited(save, request.new), content)
    }
}

/// With the route's view.
fn limited(save: Save, new: New) -> Directive {
    let directive = Directive::Save(save);
    match new.view() {
        Some(view) => directive.within(&view),
        None => directive,
    }
}

fn parsed(members: &Members) -> Dict {
    let members: Vec<String> =
        members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    Dict::parse(format!("{{{}}}", members.join(",")).as_bytes()).unwrap()
}
