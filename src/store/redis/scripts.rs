//! The scripts that change sessions on the server; each runs atomically. Pure: only their texts and
//! calls.
//!
//! For Redis from 7.0 (`PEXPIRE … GT`) and Valkey from 8. The formats of names and values are in
//! `names.rs` and `value.rs`. Times are milliseconds of the sidecar's clock; lifetimes are
//! relative, so that a wrong clock of the server does not end sessions early.

use std::sync::LazyLock;

use redis::Cmd;

use crate::session::lifetime::SessionId;
use crate::time::Timestamp;

use super::names::Names;

/// The start of every script.
const PRELUDE: &str = r"
local P, now, anywhere = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local function name(kind, id) return P .. '{' .. string.sub(id, 1, 2) .. '}:' .. kind .. ':' .. id end
-- In a cluster a script reaches what is in one slot.
local function reaches(one, other) return anywhere or string.sub(one, 1, 2) == string.sub(other, 1, 2) end
local function num(v, at)
  local a, b, c, d, e, f = string.byte(v, at, at + 5)
  return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end
local function bytes(n)
  local t = {}
  for i = 6, 1, -1 do t[i] = string.char(n % 256) n = math.floor(n / 256) end
  return table.concat(t)
end
local function read(key)
  local v = redis.call('GET', key)
  if v and (#v < 28 or string.byte(v, 9) ~= 1) then error('not a session of this version') end
  return v
end
local function subject(v) if string.byte(v, 10) % 2 == 1 then return string.sub(v, 29, 50) end end
local function replaced(v) return string.byte(v, 10) >= 2 end
local function successor(v) local at = subject(v) and 57 or 35 return string.sub(v, at, at + 21) end
local function is_at(v, rev) return v and string.sub(v, 1, 8) == rev and not replaced(v) and num(v, 23) > now end
local function enlist(v, id, exp, ttl)
  local s = subject(v)
  if not s or not reaches(s, id) then return end
  local key = name('u', s)
  redis.call('ZADD', key, exp, id)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('PEXPIRE', key, ttl, 'NX')
  redis.call('PEXPIRE', key, ttl, 'GT')
end
local function create(key, id, value, ttl, exp, old, linked)
  redis.call('SET', key, value, 'PX', ttl)
  enlist(value, id, exp, ttl)
  if old ~= '' then redis.call('SET', name('p', id), old, 'PX', linked) end
end
local function replace(key, v, id, new, readable, linked)
  local s = subject(v)
  local at = s and 51 or 29
  local link = bytes(math.min(num(v, 23), now + readable)) .. new
  local head = string.sub(v, 1, 9) .. string.char(string.byte(v, 10) + 2) .. string.sub(v, 11, 22) .. bytes(now + linked)
  redis.call('SET', key, head .. string.sub(v, 29, at - 1) .. link .. string.sub(v, at), 'PX', linked)
  if s and reaches(s, id) then redis.call('ZADD', name('u', s), 'XX', now + linked, id) end
end
local ended, ids, elsewhere = 0, {}, {}
-- Ends a session under this id and those it had before; and, with `follow`, those it has got since.
local function finish(id, follow)
  local list, known = { id }, { [id] = true }
  local function also(other)
    if other and not known[other] then known[other] = true list[#list + 1] = other end
  end
  local i = 1
  while list[i] do
    local this = list[i]
    if reaches(id, this) then
      local key, before = name('s', this), name('p', this)
      local v = read(key)
      if v then
        if not replaced(v) then
          if num(v, 23) > now then ended = ended + 1 end
        elseif follow then
          also(successor(v))
        end
        local s = subject(v)
        if s and reaches(s, this) then redis.call('ZREM', name('u', s), this) end
        redis.call('DEL', key)
        ids[#ids + 1] = this
      end
      also(redis.call('GET', before))
      redis.call('DEL', before)
    else
      elsewhere[#elsewhere + 1] = this
    end
    i = i + 1
  end
end
";

/// A script with its digest, by which the server knows it.
pub(super) struct Script {
    text: String,
    digest: String,
}

/// All scripts.
pub(super) struct Scripts {
    pub(super) save: Script,
    pub(super) touch: Script,
    pub(super) renew: Script,
    pub(super) replace: Script,
    pub(super) end: Script,
    pub(super) end_subject: Script,
    pub(super) end_begun: Script,
    pub(super) list: Script,
}

/// All scripts, created once.
pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(Scripts::new);

impl Scripts {
    fn new() -> Self {
        Self {
            save: Script::new(SAVE),
            touch: Script::new(TOUCH),
            renew: Script::new(RENEW),
            replace: Script::new(REPLACE),
            end: Script::new(END),
            end_subject: Script::new(END_SUBJECT),
            end_begun: Script::new(END_BEGUN),
            list: Script::new(LIST),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Script> {
        let Self { save, touch, renew, replace, end, end_subject, end_begun, list } = self;
        [save, touch, renew, replace, end, end_subject, end_begun, list].into_iter()
    }
}

/// Creates a session, or writes it at an expected revision: `{1}`, or else the current one: `{0,
/// value}`. The start does not change.
const SAVE: &str = r"
local key, id, expected, value = KEYS[1], ARGV[4], ARGV[5], ARGV[6]
local v = read(key)
if expected == '' then
  if v then return { 0, v } end
else
  if not is_at(v, expected) then return { 0, v } end
  value = string.sub(value, 1, 10) .. string.sub(v, 11, 16) .. string.sub(value, 17)
end
create(key, id, value, ARGV[7], ARGV[8], ARGV[9], ARGV[10])
return { 1 }
";

/// Extends a session, never shortens it: 1, or 0 if there is none.
const TOUCH: &str = r"
local key, id, exp, seen, ttl = KEYS[1], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local v = read(key)
if not v or replaced(v) or num(v, 23) <= now then return 0 end
if seen > num(v, 17) then redis.call('SETRANGE', key, 16, bytes(seen)) end
if exp > num(v, 23) then
  redis.call('SETRANGE', key, 22, bytes(exp))
  redis.call('PEXPIRE', key, ttl, 'GT')
  enlist(v, id, ARGV[5], ttl)
end
return 1
";

/// Replaces a session at an expected revision by a new one: `{1}`, or else the current one: `{0,
/// value}`.
const RENEW: &str = r"
local old, new = ARGV[4], ARGV[5]
local v = read(KEYS[1])
-- An earlier attempt of this very change, of which no answer came.
if v and replaced(v) and successor(v) == new and redis.call('EXISTS', KEYS[2]) == 1 then return { 1 } end
if not is_at(v, ARGV[6]) then return { 0, v } end
if redis.call('EXISTS', KEYS[2]) == 1 then return { 0, false } end
create(KEYS[2], new, ARGV[7], ARGV[8], ARGV[9], old, ARGV[11])
replace(KEYS[1], v, old, new, tonumber(ARGV[10]), tonumber(ARGV[11]))
return { 1 }
";

/// The second half of RENEW, for a cluster with the ids on different servers.
const REPLACE: &str = r"
local old, new = ARGV[4], ARGV[5]
local v = read(KEYS[1])
if v and replaced(v) and successor(v) == new then return { 1 } end
if not is_at(v, ARGV[6]) then return { 0, v } end
replace(KEYS[1], v, old, new, tonumber(ARGV[7]), tonumber(ARGV[8]))
return { 1 }
";

/// Ends a session. Returns how many were live, the removed ids, and the ids to end on other
/// servers.
///
/// The second argument: `follow` also ends later ids; `alone` does not; `current` ends it only if
/// it has no later id.
const END: &str = r"
local v = read(KEYS[1])
if ARGV[5] ~= 'current' or (v and not replaced(v)) then finish(ARGV[4], ARGV[5] == 'follow') end
return { ended, ids, elsewhere, 0 }
";

/// Ends some sessions of a user, never one of them. Later ids of a session belong to another user and
/// stay. Returns what END does, and whether there may be more to end.
const END_SUBJECT: &str = r"
local most, done = tonumber(ARGV[6]), 0
-- The one that stays takes a place among them.
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, most)) do
  if id ~= ARGV[5] and done < most then
    local v = read(name('s', id))
    if v and subject(v) == ARGV[4] then finish(id, false) end
    redis.call('ZREM', KEYS[1], id)
    done = done + 1
  end
end
return { ended, ids, elsewhere, done == most and 1 or 0 }
";

/// Ends a session that began at a time or before: 1 if it was live.
const END_BEGUN: &str = r"
local v = read(KEYS[1])
if not v or num(v, 11) > tonumber(ARGV[5]) then return 0 end
local s = subject(v)
if s and reaches(s, ARGV[4]) then redis.call('ZREM', name('u', s), ARGV[4]) end
redis.call('DEL', KEYS[1])
return (not replaced(v) and num(v, 23) > now) and 1 or 0
";

/// Lists the sessions of a user, up to a number of those that expire last: whether there are more, and
/// for each its id, the start of its value, and the value's length.
const LIST: &str = r"
local most, found = tonumber(ARGV[5]), {}
local ids = redis.call('ZRANGE', KEYS[1], '+inf', '(' .. ARGV[2], 'BYSCORE', 'REV', 'LIMIT', 0, most + 1)
for i = 1, math.min(#ids, most) do
  local v = read(name('s', ids[i]))
  if v and subject(v) == ARGV[4] then
    found[#found + 1] = { ids[i], string.sub(v, 1, 78), #v }
  end
end
return { #ids > most and 1 or 0, found }
";

/// The context in which scripts run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting<'a> {
    pub(super) names: &'a Names,
    pub(super) now: Timestamp,
    /// All keys are on one server: not a cluster.
    pub(super) anywhere: bool,
}

impl Script {
    fn new(text: &str) -> Self {
        let text = format!("{PRELUDE}{text}");
        let digest = redis::Script::new(&text).get_hash().to_owned();
        Self { text, digest }
    }

    /// The command to load it.
    pub(super) fn load(&self) -> Cmd {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(&self.text);
        load
    }

    /// The command to run it by its digest; `in_full` sends its text, for a server that does not
    /// have it.
    pub(super) fn call(&self, in_full: bool, setting: Setting<'_>, call: &Call) -> Cmd {
        let size = call.arguments.iter().map(Vec::len).sum::<usize>() + 512;
        let mut command = Cmd::with_capacity(call.arguments.len() + 8, size);
        match in_full {
            true => command.arg("EVAL").arg(&self.text),
            false => command.arg("EVALSHA").arg(&self.digest),
        };
        command.arg(call.keys.len()).arg(&call.keys);
        command.arg(setting.names.prefix()).arg(setting.now.as_millis());
        command.arg(u8::from(setting.anywhere));
        for argument in &call.arguments {
            command.arg(argument.as_slice());
        }
        command
    }
}

/// The arguments of a script, besides the setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) keys: Vec<String>,
    pub(super) arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn of(key: String) -> Self {
        Self { keys: vec![key], arguments: Vec::new() }
    }

    pub(super) fn key(mut self, key: String) -> Self {
        self.keys.push(key);
        self
    }

    pub(super) fn text(self, argument: &str) -> Self {
        self.bytes(argument.as_bytes().to_vec())
    }

    pub(super) fn id(self, id: &SessionId) -> Self {
        self.text(id.as_str())
    }

    pub(super) fn number(self, argument: u64) -> Self {
        self.bytes(argument.to_string().into_bytes())
    }

    pub(super) fn bytes(mut self, argument: Vec<u8>) -> Self {
        self.arguments.push(argument);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_asked_for_by_its_digest_and_in_full_where_that_is_unknown() {
        let names = Names::new("p:".into());
        let setting = Setting { names: &names, now: Timestamp::from_millis(5), anywhere: true };
        let scripts = Scripts::new();
        let call = Call::of("k".into()).text("a").number(7).bytes(vec![0, 255]);
        let packed = |in_full| {
            let command = scripts.end.call(in_full, setting, &call);
            command.get_packed_command()
        };
        let short = packed(false);
        let digest = format!("*10\r\n$7\r\nEVALSHA\r\n$40\r\n{}\r\n", scripts.end.digest);
        let rest =
            "$1\r\n1\r\n$1\r\nk\r\n$2\r\np:\r\n$1\r\n5\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\n7\r\n$2\r\n";
        let expected = [digest.as_bytes(), rest.as_bytes(), b"\0\xff\r\n"].concat();
        assert_eq!(short, expected, "{}", String::from_utf8_lossy(&short));
        let long = packed(true);
        assert!(long.starts_with(b"*10\r\n$4\r\nEVAL\r\n"));
        assert!(long.ends_with(&expected[expected.len() - 20..]));
    }

    #[test]
    fn every_script_is_another_one() {
        let scripts = Scripts::new();
        let mut digests: Vec<&str> = scripts.iter().map(|script| script.digest.as_str()).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), scripts.iter().count());
    }
}
