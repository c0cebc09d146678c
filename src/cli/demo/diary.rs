//! The recent answers of the app, for display only. All session data is in the dict.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// The maximum number of exchanges for all visitors.
const LENGTH: usize = 512;

/// The request of a form, and the app's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    /// `POST /counter`
    pub(super) request: String,
    /// The value of `X-Session`.
    pub(super) received: String,
    /// `303 See Other`
    pub(super) status: String,
    /// The control headers of the answer.
    pub(super) sent: Vec<(&'static str, String)>,
}

/// The recent exchanges, each with the id in its visitor's dict.
#[derive(Debug, Default)]
pub(super) struct Diary {
    exchanges: Mutex<VecDeque<(String, Exchange)>>,
}

impl Diary {
    pub(super) fn note(&self, id: &str, exchange: Exchange) {
        let mut exchanges = self.exchanges.lock();
        if exchanges.len() == LENGTH {
            exchanges.pop_back();
        }
        exchanges.push_front((id.to_owned(), exchange));
    }

    /// The last `most` exchanges of a visitor, newest first.
    pub(super) fn of(&self, id: &str, most: usize) -> Vec<Exchange> {
        let exchanges = self.exchanges.lock();
        let own = exchanges.iter().filter(|(of, _)| of == id);
        own.take(most).map(|(_, exchange)| exchange.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(number: usize) -> Exchange {
        Exchange {
            request: format!("POST /{number}"),
            received: "{}".into(),
            status: "303 See Other".into(),
            sent: Vec::new(),
        }
    }

    #[test]
    fn each_visitor_sees_his_own_newest_first() {
        let diary = Diary::default();
        for number in 0..6 {
            diary.note(if number % 2 == 0 { "even" } else { "odd" }, exchange(number));
        }
        assert_eq!(diary.of("odd", 2), [exchange(5), exchange(3)]);
        assert_eq!(diary.of("nobody", 2), []);
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let diary = Diary::default();
        diary.note("first", exchange(0));
        for number in 0..LENGTH {
            diary.note("other", exchange(number));
        }
        assert_eq!(diary.of("first", 1), []);
        assert_eq!(diary.of("other", usize::MAX).len(), LENGTH);
    }
}
