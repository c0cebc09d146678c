'use strict';
// Sessions with the interface of express-session: req.session comes in X-Session, and is sent back in X-Session-Save if
// it has changed. A middleware for Express, Connect and node:http that needs no cookie and no key:
//   app.use(require('./cloakroom.cjs')());
const { randomBytes } = require('node:crypto');
const { EventEmitter } = require('node:events');

const ID = '_session_id'; // the key of an id, created when the app first asks for one
const STATE = Symbol('state');
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|[{}[\]:,]/g;

/**
 * JSON on one line of ASCII. Throws if JSON would lose or change something, and names it. Without `where` it does not
 * throw, to check whether a value is unchanged: 1e400 came as JSON too.
 */
function encode(value, where, toJSON, parents = []) {
  const refuse = what => {
    if (!where) return '?';
    throw new TypeError(`session: ${where} is ${what}, which JSON cannot hold; store text, numbers, booleans, arrays or plain objects`);
  };
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (typeof value === 'string') {
    return JSON.stringify(value).replace(/[\u007f-\uffff]/g, c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
  }
  if (typeof value === 'number') return Number.isFinite(value) || !where ? (Object.is(value, -0) ? '-0' : String(value)) : refuse(value);
  if (typeof value !== 'object') return refuse(value === undefined ? 'undefined' : `a ${typeof value}`);
  if (toJSON && typeof value.toJSON === 'function') return encode(value.toJSON(), where, toJSON, parents);
  if (parents.includes(value)) return refuse('inside itself');
  parents = [...parents, value];
  if (Array.isArray(value)) {
    if (Object.keys(value).length !== value.length) return refuse('an array with gaps or named members');
    return `[${value.map((item, at) => encode(item, where && `${where}[${at}]`, toJSON, parents))}]`;
  }
  const parent = Object.getPrototypeOf(value);
  if (parent !== null && Object.getPrototypeOf(parent) !== null) return refuse(`a ${value.constructor?.name || 'class'}`);
  if (Object.getOwnPropertySymbols(value).length > 0) return refuse('an object with symbols for keys');
  // A missing member reads as undefined too, so leaving it out loses nothing.
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([key, member]) => `${encode(key)}:${encode(member, where && `${where}.${key}`, toJSON, parents)}`)}}`;
}

/** Reads JSON; an integer that a number would round becomes a BigInt. */
function decode(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const mark = randomBytes(16).toString('hex'); // no text begins with this
  const marked = text.replace(TOKENS, token => (/^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${mark}${token}"` : token));
  return JSON.parse(marked, (_, value) => (typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value));
}

/** The members of an object with their text, so that values that the app does not change are saved exactly as they came. */
function members(text) {
  const whole = JSON.parse(text);
  if (whole === null || typeof whole !== 'object' || Array.isArray(whole)) throw new SyntaxError('it is not an object');
  const found = new Map();
  let depth = 0, key, start;
  for (const { 0: token, index } of text.matchAll(TOKENS)) {
    if (depth === 1) {
      if (start === undefined && token[0] === '"') key = JSON.parse(token);
      else if (start === undefined && token === ':') start = index + 1;
      else if (start !== undefined && (token === ',' || token === '}')) {
        found.set(key, text.slice(start, index).trim());
        start = undefined;
      }
    }
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
  }
  return found;
}

/** The methods and properties of req.session. */
class Session {
  constructor(state) { Object.defineProperty(this, STATE, { value: state }); }
  get id() { return this[STATE].id(); }
  get req() { return this[STATE].req; }
  get cookie() { return this[STATE].cookie; }
  /** Checks at once; the header is sent with the answer. */
  save(done) { return this[STATE].run(this, done, state => state.headers()); }
  destroy(done) { return this[STATE].run(this, done, state => { state.req.session = undefined; }); }
  regenerate(done) { return this[STATE].run(this, done, state => state.fill(new Map(), true)); }
  reload(done) { return this[STATE].run(this, done, state => state.fill(state.was, false)); }
  touch() { return this; } // session.refresh_after of the sidecar does this
  resetMaxAge() { return this; }
}

/** The session of one request. */
class State {
  constructor(req, text, options) {
    Object.assign(this, { req, toJSON: options.toJSON, newMaxAge: options.cookie?.maxAge || null });
    this.was = members(text);
    this.fill(this.was, false);
    this.cookie = this.lifetime(options.cookie);
  }

  /** A new req.session. Values whose key is the name of a method are hidden from the app, and saved as they came. */
  fill(content, renewed) {
    const own = key => key === ID || (key in Session.prototype && key !== 'id');
    Object.assign(this, { renewed, asked: false, maxAge: content.size === 0 ? this.newMaxAge : undefined });
    this.unseen = new Map([...content].filter(([key]) => own(key)));
    const target = new Session(this);
    const put = (key, value) => Reflect.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
    for (const [key, raw] of content) if (!own(key)) put(key, decode(raw));
    const check = key => {
      if (this.sent) throw new Error(`session: ${String(key)} was changed after the headers were sent; change it earlier`);
      if (typeof key === 'symbol' || own(key)) throw new TypeError(`session: ${String(key)} is reserved for the session; use another key`);
    };
    this.req.session = this.session = new Proxy(target, {
      defineProperty: (_, key, { value }) => {
        check(key);
        if (value !== undefined) encode(value, `"${key}"`, this.toJSON);
        return put(key, value);
      },
      set: (_, key, value, receiver) => Reflect.defineProperty(receiver, key, { value }),
      deleteProperty: (_, key) => { check(key); return Reflect.deleteProperty(target, key); },
    });
  }

  /** req.session.cookie: only the lifetime is used. */
  lifetime(given) {
    const state = this;
    return {
      path: '/', httpOnly: true, ...given,
      get maxAge() { return state.maxAge ?? null; },
      set maxAge(milliseconds) { Object.assign(state, { maxAge: milliseconds || null, asked: true }); },
      get originalMaxAge() { return this.maxAge; },
      get expires() { return this.maxAge === null ? null : new Date(Date.now() + this.maxAge); },
      set expires(moment) { this.maxAge = moment ? new Date(moment) - Date.now() : null; },
    };
  }

  id() {
    if (this.unseen.has(ID)) return JSON.parse(this.unseen.get(ID));
    const id = randomBytes(16).toString('base64url');
    if (!this.sent) this.unseen.set(ID, encode(id)); // if the access log asks for an id, it is too late to save it
    return id;
  }

  /** Acts at once and calls `done` later, like the methods of express-session. */
  run(session, done, what) {
    let fault;
    try {
      if (this.sent) throw new Error('session: the headers were already sent; change the session earlier');
      what(this);
    } catch (error) {
      if (!done) throw error;
      fault = error;
    }
    if (done) setImmediate(() => done(fault));
    return session;
  }

  /** What to tell the sidecar: the rest of each header's name, and its value. */
  headers() {
    if (this.req.session === undefined || this.req.session === null) return [['Delete', '1']];
    const now = new Map();
    for (const [key, value] of Object.entries(this.req.session)) {
      if (value === undefined) continue;
      const [raw, json] = [this.was.get(key), encode(value, '', this.toJSON)];
      const same = raw !== undefined && (json === raw || json === encode(decode(raw)));
      now.set(key, same ? raw : encode(value, `"${key}"`, this.toJSON));
    }
    // An id alone does not create a session.
    for (const [key, raw] of this.unseen) if (key !== ID || now.size > 0) now.set(key, raw);
    if (now.size === 0) return this.was.size > 0 ? [['Delete', '1']] : [];
    const same = now.size === this.was.size && [...now].every(([key, raw]) => this.was.get(key) === raw);
    if (same && !this.renewed && !this.asked) return [];
    const headers = [['Save', `{${[...now].map(([key, raw]) => `${encode(key)}:${raw}`)}}`]];
    if (this.renewed) headers.push(['Renew', '1']);
    if (this.maxAge !== undefined) headers.push(['Max-Age', this.maxAge === null ? '0' : String(Math.max(1, Math.ceil(this.maxAge / 1000)))]);
    return headers;
  }
}

/** Runs `before` once, when the head of the answer is sent: with the first byte, not yet with writeHead(). If it throws, `fail` answers. */
function beforeHead(res, before, fail) {
  const originals = { writeHead: res.writeHead, flushHeaders: res.flushHeaders, write: res.write, end: res.end };
  let begun = false, failed = false, head;
  Object.defineProperty(res, 'headersSent', { get: () => head !== undefined || Reflect.get(Object.getPrototypeOf(res), 'headersSent', res), configurable: true });
  for (const [name, original] of Object.entries(originals)) {
    res[name] = function (...given) {
      if (!begun) {
        if (name === 'writeHead' && Number.isInteger(given[0])) return Object.assign(res, { statusCode: (head = given)[0] });
        begun = true;
        try {
          before();
          if (head) originals.writeHead.apply(res, head);
        } catch (error) {
          Object.assign(res, originals);
          for (const header of res.getHeaderNames()) res.removeHeader(header);
          fail(error);
          failed = true; // the rest of the app's answer is dropped
          Object.assign(res, { writeHead: () => res, flushHeaders: () => {}, write: () => true, end: () => res });
        }
      }
      return failed ? res[name](...given) : original.apply(this, given);
    };
  }
}

function refuse(res, error, text) {
  console.error(error);
  res.writeHead(500, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}

/**
 * The middleware. `header`: the prefix of the headers' names. `toJSON: true`: store what an object's toJSON() gives,
 * instead of refusing the object. `cookie.maxAge`: how many milliseconds new sessions last, instead of until the browser ends. Other options are ignored.
 */
function session(options = {}) {
  const prefix = options.header ?? 'X-Session';
  return function cloakroom(req, res, next) {
    if (Object.hasOwn(req, 'session')) return next();
    const text = req.headers[prefix.toLowerCase()];
    if (text === undefined) {
      const missing = `${prefix} is missing: this request did not come through cloakroom, or its route has no session; let only cloakroom reach the app`;
      const get = () => { throw new Error(missing); };
      Object.defineProperties(req, { session: { get, configurable: true }, sessionID: { get, configurable: true } });
      return next();
    }
    let state;
    try {
      state = new State(req, text, options);
    } catch {
      // Without the message of JSON.parse, which quotes the session.
      return refuse(res, new Error(`${prefix} cannot be read: it is not a JSON object`), `${prefix} cannot be read.`);
    }
    Object.defineProperty(req, 'sessionID', { get: () => state.id(), configurable: true });
    beforeHead(res, () => {
      const headers = state.headers();
      for (const [name, value] of headers) res.setHeader(`${prefix}-${name}`, value);
      // A cache before the sidecar does not know these headers.
      const cache = [res.getHeader('Cache-Control') ?? []].join(', ').replace(/,? *\b(public|private)\b(?!=)/gi, '');
      if (headers.length > 0) res.setHeader('Cache-Control', `${cache}, private`.replace(/^[, ]+/, ''));
      state.sent = JSON.stringify(state.headers());
    }, error => refuse(res, error, 'The session could not be saved.'));
    res.once('finish', () => {
      try {
        if (!state.sent || JSON.stringify(state.headers()) === state.sent) return;
        throw new Error('session: a change after the headers were sent is not saved');
      } catch (error) {
        console.error(error);
      }
    });
    return next();
  };
}

// So that this file can replace express-session; a configured store is not used.
module.exports = Object.assign(session, { Session, Store: EventEmitter, MemoryStore: EventEmitter });
