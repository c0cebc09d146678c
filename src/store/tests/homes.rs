//! The kinds of homes that the same tests run with.

use std::any::Any;

use super::*;

/// What a test makes its stores in.
pub(super) enum HomeKind {
    File,
    #[cfg(feature = "redis")]
    Server(engines::Server),
}

impl HomeKind {
    /// A new, empty home, which must live as long as its stores, and stores that share it.
    pub(super) fn stores<const N: usize>(&self) -> (Box<dyn Any>, [Store; N]) {
        match self {
            Self::File => {
                let folder = TempDir::new().unwrap();
                let stores = [(); N].map(|()| store(folder.path(), Duration::from_secs(5)));
                (Box::new(folder), stores)
            }
            #[cfg(feature = "redis")]
            Self::Server(server) => engines::sharing(server),
        }
    }
}

/// Makes a test of each function for each kind of home.
macro_rules! in_each_home {
    ($($test:ident)*) => {
        mod file {
            $(#[test]
            fn $test() {
                super::$test(&super::HomeKind::File);
            })*
        }

        #[cfg(feature = "redis")]
        mod redis {
            use crate::store::tests::engines::{Engine, Server};

            $(#[test]
            fn $test() {
                super::$test(&super::HomeKind::Server(Server::of(Engine::Redis).start()));
            })*
        }
    };
}

pub(super) use in_each_home;
