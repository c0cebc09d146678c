//! A load counts what its clients see; the servers here are faulty on purpose.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Failure, Figures, Load};
use crate::runtime;
use crate::support::WAIT;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a server does with each connection.
#[derive(Clone, Copy, Debug)]
enum Server {
    Closes,
    ClosesInTheMiddle,
    Resets,
    Hangs,
    Babbles,
    /// Answers one request per connection, with or without announcing it.
    AnswersOnce(&'static str),
    AnswersSlowly,
    Answers,
}

impl Server {
    async fn serve(self, mut stream: TcpStream) {
        let mut bytes = [0; 1000];
        while let Ok(1..) = stream.read(&mut bytes).await {
            let answer = match self {
                Self::Closes => return,
                Self::Resets => return stream.set_zero_linger().unwrap(),
                Self::Hangs => return std::future::pending().await,
                Self::ClosesInTheMiddle => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
                Self::Babbles => "HTTP/1.1 200 OK\r\n\r\nok",
                Self::AnswersOnce(field) => {
                    &format!("HTTP/1.1 200 OK\r\n{field}Content-Length: 2\r\n\r\nok")
                }
                Self::AnswersSlowly => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    OK
                }
                Self::Answers => OK,
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
            if matches!(self, Self::AnswersOnce(_) | Self::ClosesInTheMiddle) {
                return;
            }
        }
    }

    /// The result of ten requests on two connections.
    fn load(self) -> Figures {
        self.loaded(|load| load, "ok")
    }

    fn loaded(self, more: impl FnOnce(Load) -> Load, expected: &'static str) -> Figures {
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let accept = runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.serve(stream));
            }
        });
        let load = Load::on(address).connections(2).count(10).patience(Duration::from_millis(200));
        let figures = more(load).run(
            |number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(),
            move |_, reply| match reply.text() == expected {
                true => Ok(()),
                false => Err(reply.text()),
            },
        );
        accept.abort();
        figures
    }
}

#[test]
fn each_failure_is_counted_as_what_it_is() {
    for (server, failure) in [
        (Server::Closes, Failure::Closed),
        (Server::ClosesInTheMiddle, Failure::Closed),
        (Server::Resets, Failure::Reset),
        (Server::Hangs, Failure::TimedOut),
        (Server::Babbles, Failure::Unreadable),
    ] {
        let figures = server.load();
        let counts = (figures.sent, figures.failures(), figures.of(failure), figures.status(200));
        assert_eq!(counts, (10, 10, 10, 0), "{server:?}: {:?}", figures.examples());
    }
    let figures = Server::Answers.loaded(|load| load, "something else");
    assert_eq!((figures.of(Failure::Wrong), figures.failures()), (10, 10));
    assert_eq!(figures.status(200), 10);
    // A port on which nothing listens any more.
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let figures = Load::on(address).count(10).run(|_| Vec::new(), |_, _| Ok(()));
    assert_eq!((figures.of(Failure::Refused), figures.failures()), (10, 10));
}

#[test]
fn connection_closed_between_two_requests_is_no_failure() {
    for field in ["Connection: close\r\n", ""] {
        // Slow enough that the connection ends before the next request.
        let figures = Server::AnswersOnce(field).loaded(|load| load.rate(20.0), "ok");
        figures.assert_none_failed();
        assert_eq!((figures.sent, figures.status(200), figures.reopened), (10, 10, 8), "{field}");
    }
    let figures = Server::Answers.load();
    figures.assert_none_failed();
    assert_eq!((figures.status(200), figures.reopened), (10, 0));
}

#[test]
fn rate_and_time_are_kept() {
    let figures = Server::Answers
        .loaded(|load| load.count(u64::MAX).rate(200.0).during(Duration::from_millis(500)), "ok");
    assert_eq!(figures.sent, 100);
    assert!(figures.took >= Duration::from_millis(490), "{:?}", figures.took);
}

#[test]
fn latency_counts_from_when_a_request_was_due() {
    // Two connections that need 100 ms for a request can do 20 per second, not 100: the last one is
    // due after 90 ms and answered after 500.
    let figures = Server::AnswersSlowly.loaded(|load| load.rate(100.0).patience(WAIT), "ok");
    figures.assert_none_failed();
    assert!(figures.latency(0.0) >= Duration::from_millis(100), "{figures}");
    assert!(figures.latency(1.0) >= Duration::from_millis(400), "{figures}");
}

#[test]
fn requests_whose_turn_is_to_come_do_not_hold_up_the_end() {
    let load = Load::on(([127, 0, 0, 1], 1).into()).connections(3).rate(1.0);
    let figures = load.start(|_| Vec::new(), |_, _| Ok(())).stop();
    assert!(figures.took < Duration::from_millis(900), "{:?}", figures.took);
}
