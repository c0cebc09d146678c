//! How each change is carried out on the server.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};

use super::call::{Caller, Deadline, parse};
use super::dial::Live;
use super::fault::is_unknown_script;
use super::names::{self, are_together};
use super::recent::End;
use super::scripts::{Call, SCRIPTS, Script};
use super::{sweep, value};
use crate::session::lifetime::SessionId;
use crate::store::operation::{Applied, Change, LINKED, MOST_ENDED, Outage, REPLACED, Row};
use crate::store::record::SubjectHash;
use crate::time::Timestamp;

/// How long to wait for a replica to acknowledge an end, in milliseconds.
const ACKNOWLEDGE: u64 = 100;

pub(super) async fn apply(
    caller: &Caller,
    change: Change,
    now: Timestamp,
    deadline: Deadline,
) -> Result<Applied, Outage> {
    Changing { caller, now, deadline }.apply(change).await
}

struct Changing<'a> {
    caller: &'a Caller,
    now: Timestamp,
    deadline: Deadline,
}

impl Changing<'_> {
    async fn apply(&self, change: Change) -> Result<Applied, Outage> {
        match change {
            Change::Create { id, row } => self.save(&id, None, &row, None).await,
            Change::Save { id, expected, row } => self.save(&id, Some(expected), &row, None).await,
            Change::Touch { id, exp, seen } => self.touch(&id, exp, seen).await,
            Change::Renew { old, expected, id, row } => {
                let applied = self.renew(&old, expected, &id, &row).await?;
                if matches!(applied, Applied::Done { .. }) {
                    self.caller.link.recent.note([End::Renewed(old)]);
                }
                Ok(applied)
            }
            Change::Delete { id } => self.end(id).await,
            Change::EndSubject { subject, except } => self.end_subject(&subject, except).await,
            Change::EndAll => self.end_all().await,
        }
    }

    async fn run(&self, script: &'static Script, call: &Call) -> Result<Value, Outage> {
        self.caller.run(script, self.now, call, self.deadline).await
    }

    fn ttl(&self, exp: Timestamp) -> u64 {
        // The server refuses a lifetime of 0.
        exp.as_millis().saturating_sub(self.now.as_millis()).max(1)
    }

    /// `old` is the previous id of the session, if it was renewed recently.
    async fn save(
        &self,
        id: &SessionId,
        expected: Option<u64>,
        row: &Row,
        old: Option<&SessionId>,
    ) -> Result<Applied, Outage> {
        // No session has an invalid id.
        if id.to_bytes().is_none() {
            return Ok(Applied::Gone);
        }
        // Never use a revision twice, whatever the caller asks for.
        let expected = match expected {
            Some(expected) if row.rev <= expected => NO_REVISION.to_vec(),
            Some(expected) => expected.to_be_bytes().to_vec(),
            None => Vec::new(),
        };
        let call = Call::of(self.caller.link.names.session(id)).id(id).bytes(expected);
        let call = self.content(call, row);
        let call = call.text(old.map_or("", SessionId::as_str)).number(millis(LINKED));
        let answer = self.run(&SCRIPTS.save, &call).await?;
        self.done_or_there(answer, Some(row))
    }

    fn content(&self, call: Call, row: &Row) -> Call {
        call.bytes(value::write(row)).number(self.ttl(row.exp)).number(row.exp.as_millis())
    }

    /// Reads `{1}`, or `{0, value}` with the current value. This may be our own write, if the
    /// answer to a first try was lost.
    fn done_or_there(&self, answer: Value, row: Option<&Row>) -> Result<Applied, Outage> {
        let mut answer = parse::<Vec<Value>>(answer)?.into_iter();
        match (answer.next(), answer.next()) {
            (Some(Value::Int(1)), None) => Ok(Applied::done(0)),
            (Some(Value::Int(0)), Some(Value::Nil)) => Ok(Applied::Gone),
            (Some(Value::Int(0)), Some(Value::BulkString(there))) => {
                let there = value::read(&there).map_err(|_| Outage::Protocol)?;
                Ok(match there.until {
                    Some(_) => Applied::Gone,
                    None if there.row.exp <= self.now => Applied::Gone,
                    None if row.is_some_and(|row| value::are_one_write(row, &there.row)) => {
                        Applied::done(0)
                    }
                    None => Applied::Conflict(there.row),
                })
            }
            _ => Err(Outage::Protocol),
        }
    }

    async fn touch(
        &self,
        id: &SessionId,
        exp: Timestamp,
        seen: Timestamp,
    ) -> Result<Applied, Outage> {
        let call = Call::of(self.caller.link.names.session(id)).id(id);
        let call = call.number(exp.as_millis()).number(seen.as_millis()).number(self.ttl(exp));
        match parse(self.run(&SCRIPTS.touch, &call).await?)? {
            1 => Ok(Applied::done(0)),
            0 => Ok(Applied::Gone),
            _ => Err(Outage::Protocol),
        }
    }

    async fn renew(
        &self,
        old: &SessionId,
        expected: u64,
        id: &SessionId,
        row: &Row,
    ) -> Result<Applied, Outage> {
        if old.to_bytes().is_none() || id.to_bytes().is_none() {
            return Ok(Applied::Gone);
        }
        let names = &self.caller.link.names;
        let call = Call::of(names.session(old));
        let expected = expected.to_be_bytes().to_vec();
        if self.caller.is_cluster() && !are_together(old, id) {
            return self.renew_apart(call.id(old).id(id).bytes(expected), old, id, row).await;
        }
        let call = call.key(names.session(id)).id(old).id(id).bytes(expected);
        let call = self.content(call, row).number(millis(REPLACED)).number(millis(LINKED));
        let (answer, _) = self.end_by(&SCRIPTS.renew, &call).await?;
        self.done_or_there(answer, None)
    }

    /// For ids on different servers: writes the new one first, so that the session always exists.
    async fn renew_apart(
        &self,
        call: Call,
        old: &SessionId,
        id: &SessionId,
        row: &Row,
    ) -> Result<Applied, Outage> {
        match self.save(id, None, row, Some(old)).await? {
            Applied::Done { .. } => {}
            _ => return Ok(Applied::Gone),
        }
        let call = call.number(millis(REPLACED)).number(millis(LINKED));
        let replaced = match self.end_by(&SCRIPTS.replace, &call).await {
            Ok((answer, _)) => self.done_or_there(answer, None),
            Err(outage) => Err(outage),
        };
        if !matches!(replaced, Ok(Applied::Done { .. })) {
            // Nobody knows this id yet: if this fails too, it expires unused.
            let end = Call::of(self.caller.link.names.session(id)).id(id).text("alone");
            let _ = self.run(&SCRIPTS.end, &end).await;
        }
        replaced
    }

    async fn end(&self, id: SessionId) -> Result<Applied, Outage> {
        if id.to_bytes().is_none() {
            return Ok(Applied::done(0));
        }
        let (ended, replicated) = self.end_each(vec![id], "follow").await?;
        Ok(Applied::Done { ended, replicated, has_more: false })
    }

    /// Ends sessions, including those that the script could not reach on its own server. Returns how
    /// many were live, and whether all ends have been replicated.
    async fn end_each(&self, mut open: Vec<SessionId>, how: &str) -> Result<(u64, bool), Outage> {
        let (mut ended, mut replicated) = (0, true);
        let mut known = open.clone();
        while let Some(id) = open.pop() {
            let call = Call::of(self.caller.link.names.session(&id)).id(&id).text(how);
            let (answer, is_replicated) = self.end_by(&SCRIPTS.end, &call).await?;
            let Ended { live, elsewhere, .. } = self.ended(answer)?;
            // Remember it even if it was already gone: a failover may restore it.
            self.caller.link.recent.note([End::Session(id)]);
            ended += live;
            replicated &= is_replicated;
            for id in elsewhere {
                if !known.contains(&id) {
                    known.push(id.clone());
                    open.push(id);
                }
            }
        }
        Ok((ended, replicated))
    }

    /// One step: ends some of the sessions.
    async fn end_subject(
        &self,
        subject: &SubjectHash,
        except: Option<SessionId>,
    ) -> Result<Applied, Outage> {
        let subject = names::subject(subject);
        let except = except.as_ref().map_or("", SessionId::as_str);
        let call = Call::of(self.caller.link.names.index(&subject)).text(&subject).text(except);
        let call = call.number(MOST_ENDED as u64);
        let (answer, replicated) = self.end_by(&SCRIPTS.end_subject, &call).await?;
        let Ended { live, elsewhere, has_more } = self.ended(answer)?;
        let (others, are_replicated) = self.end_each(elsewhere, "alone").await?;
        let replicated = replicated && are_replicated;
        Ok(Applied::Done { ended: live + others, replicated, has_more })
    }

    async fn end_by(&self, script: &'static Script, call: &Call) -> Result<(Value, bool), Outage> {
        let setting = self.caller.setting(self.now);
        let command = |in_full| script.call(in_full, setting, call);
        acknowledged(self.caller, command, self.deadline).await
    }

    /// The sessions that a script has ended; remembers them.
    fn ended(&self, answer: Value) -> Result<Ended, Outage> {
        let (live, ids, elsewhere, has_more): (u64, Vec<String>, Vec<String>, bool) =
            parse(answer)?;
        let read = |ids: Vec<String>| -> Result<Vec<SessionId>, Outage> {
            ids.iter().map(|id| SessionId::parse(id).ok_or(Outage::Protocol)).collect()
        };
        self.caller.link.recent.note(read(ids)?.into_iter().map(End::Session));
        Ok(Ended { live, elsewhere: read(elsewhere)?, has_more })
    }

    async fn end_all(&self) -> Result<Applied, Outage> {
        let names = &self.caller.link.names;
        let now = self.now;
        let sweep =
            |live: Arc<Live>| async move { sweep::end_all(&live.ends, names, (now, now)).await };
        let ended = self.caller.ask(self.deadline, sweep).await?;
        self.caller.link.recent.note([End::All(self.now)]);
        let (caller, replicas) = (self.caller, &self.caller.link.replicas);
        let wait = |live: Arc<Live>| async move {
            if !replicas.are_awaited(&live.facts) {
                replicas.not_asked(&live.facts, caller.has_failover());
                return Ok(false);
            }
            let is_replicated = sweep::is_acknowledged(&live.ends, ACKNOWLEDGE).await?;
            replicas.asked(is_replicated);
            Ok(is_replicated)
        };
        let replicated = caller.ask(self.deadline, wait).await.unwrap_or_else(|_| {
            replicas.asked(false);
            false
        });
        Ok(Applied::Done { ended, replicated, has_more: false })
    }
}

/// The sessions that a script has ended.
struct Ended {
    /// The number of live sessions.
    live: u64,
    /// The sessions to end on other servers.
    elsewhere: Vec<SessionId>,
    /// Whether there may be more to end.
    has_more: bool,
}

/// Runs an end, and waits for a replica to acknowledge it if there is one: otherwise a failover
/// would restore the session. Also returns whether one has acknowledged it.
///
/// # Errors
/// No clear answer.
pub(super) async fn acknowledged(
    caller: &Caller,
    command: impl Fn(bool) -> Cmd + Sync,
    deadline: Deadline,
) -> Result<(Value, bool), Outage> {
    let (link, command) = (&caller.link, &command);
    let wait = ACKNOWLEDGE.min(millis(caller.timeout()) / 2).max(1);
    caller
        .ask(deadline, |live| async move {
            if !link.replicas.are_awaited(&live.facts) {
                let answer = match live.general.send(&command(false)).await {
                    Err(error) if is_unknown_script(&error) => {
                        live.general.send(&command(true)).await?
                    }
                    answered => answered?,
                };
                link.replicas.not_asked(&live.facts, caller.has_failover());
                return Ok((answer, false));
            }
            for in_full in [false, true] {
                let mut pipeline = Pipeline::new();
                pipeline.add_command(command(in_full)).cmd("WAIT").arg(1).arg(wait);
                let mut answers = live.ends.send_all(&pipeline).await?.into_iter();
                match answers.next().unwrap_or(Value::Nil).extract_error() {
                    Err(error) if is_unknown_script(&error) && !in_full => {}
                    Err(error) => return Err(error),
                    Ok(answer) => {
                        let count = answers.next().unwrap_or(Value::Nil);
                        let is_replicated = matches!(count, Value::Int(1..));
                        link.replicas.asked(is_replicated);
                        return Ok((answer, is_replicated));
                    }
                }
            }
            Err((redis::ErrorKind::UnexpectedReturnType, "no answer").into())
        })
        .await
}

/// No written revision looks like this.
const NO_REVISION: &[u8] = b"none";

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
