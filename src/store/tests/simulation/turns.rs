//! The order of turns, and what each new request asks for.

use proptest::prelude::*;

use crate::session::view::View;

/// One turn: time passes, and then one request proceeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) millis: u64,
    /// Which request in progress; one more than these is a new one.
    pub(super) whose: usize,
    pub(super) new: New,
}

/// A new request.
#[derive(Clone, Copy, Debug)]
pub(super) struct New {
    pub(super) browser: usize,
    pub(super) sidecar: usize,
    pub(super) wish: Wish,
    /// Its answer is lost.
    pub(super) is_lost: bool,
    pub(super) user: usize,
    /// The keys that the route's app can see; None: all.
    pub(super) sees: Option<&'static [&'static str]>,
}

/// Routes with `keys`; one of them hides the user.
const ROUTES: [&[&str]; 2] = [&["user", "shared", "blog"], &["shared", "blog"]];

impl New {
    pub(super) fn is_hidden(&self, key: &str) -> bool {
        self.sees.is_some_and(|keys| !keys.contains(&key))
    }

    pub(super) fn view(&self) -> Option<View> {
        self.sees.map(|keys| View::new(keys.iter().map(|&key| key.to_owned())))
    }
}

/// What the app asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Read,
    Save,
    SaveShared,
    SaveWithoutAKey,
    Merge,
    MergeWithoutAKey,
    LogIn,
    LogInByMerge,
    ForgetUser,
    Empty,
    Renew,
    SaveAndRenew,
    Delete,
    DeleteAll,
    EndOthers,
    SaveAndEndOthers,
}

pub(super) fn turns() -> impl Strategy<Value = Vec<Turn>> {
    use Wish::*;
    let wish = prop_oneof![
        6 => prop::sample::select(vec![Save, SaveShared, Merge, Read]),
        3 => prop::sample::select(vec![SaveWithoutAKey, MergeWithoutAKey, LogIn, LogInByMerge]),
        1 => prop::sample::select(vec![ForgetUser, Empty, Renew, SaveAndRenew]),
        1 => prop::sample::select(vec![Delete, DeleteAll, EndOthers, SaveAndEndOthers]),
    ];
    let sees = prop_oneof![2 => Just(None), 1 => prop::sample::select(&ROUTES[..]).prop_map(Some)];
    let new = (0..3_usize, 0..2_usize, wish, prop::bool::weighted(0.1), 0..2_usize, sees);
    let new = new.prop_map(|(browser, sidecar, wish, is_lost, user, sees)| New {
        browser,
        sidecar,
        wish,
        is_lost,
        user,
        sees,
    });
    let millis = prop_oneof![5 => Just(0), 3 => 1..200_u64, 1 => 200..8000_u64];
    let turn = (millis, 0..64_usize, new);
    prop::collection::vec(turn.prop_map(|(millis, whose, new)| Turn { millis, whose, new }), 1..160)
}
