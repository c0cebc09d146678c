// Node's app: on node:http, or with `express` as argument on Express. rules.py says what it answers to.
'use strict';
const http = require('node:http');
const session = require(process.env.ADAPTER);

const options = { header: process.env.PREFIX || 'X-Session' };
if (process.env.MAX_AGE) options.cookie = { maxAge: Number(process.env.MAX_AGE) };
if (process.env.TO_JSON) options.toJSON = true;

const large = text => text.replace(/(?<=^|[[:,])-?\d{16,}(?=$|[\],}])/g, '"large:$&"');
const parse = text => JSON.parse(large(text), (_, value) => (/^large:/.test(value) ? BigInt(value.slice(6)) : value));
const show = value => JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? Number(member) : member));

const pages = {
  '/show': (req, res) => res.end(show(req.session)),
  '/read': (req, res) => res.end(String(Object.keys(req.session).length)),
  '/set': (req, res, key, body) => { req.session[key] = parse(body); res.end('ok'); },
  '/public': (req, res, key) => {
    req.session[key] = 1;
    res.setHeader('Cache-Control', ['public', 'max-age=60']);
    res.end('ok');
  },
  '/drop': (req, res, key) => { delete req.session[key]; res.end('ok'); },
  '/logout': (req, res) => req.session.destroy(error => res.end(String(error ?? req.session))),
  '/bad': (req, res, key) => { req.session[key] = new Map(); res.end('ok'); },
  '/login': (req, res, key, body, name) => {
    const before = { ...req.session };
    req.session.regenerate(() => {
      Object.assign(req.session, before, { user: name });
      req.session.save(error => res.end(String(error)));
    });
  },

  '/values': (req, res, key, body) => {
    // Which of these are refused, each with what is said.
    const circle = {};
    circle.circle = circle;
    const values = { date: new Date(), fn() {}, symbol: Symbol('s'), nan: NaN, infinite: -Infinity, set: new Set(), regex: /x/,
      gaps: [1, , 2], hole: [undefined], named: Object.assign([1], { name: 1 }), circle, instance: new (class Cart {})(),
      bytes: Buffer.from('x'), boxed: new String('x'), symbols: { [Symbol('s')]: 1 }, deep: { deeper: [new Date()] } };
    const refused = {};
    for (const [key, value] of Object.entries(values)) {
      try { req.session[key] = value; } catch (error) { refused[key] = error.message; }
    }
    const names = Object.create(null);
    for (const name of ['cookie', 'save', '__proto__', 'constructor', '_session_id']) {
      try { req.session[name] = 1; } catch (error) { names[name] = error.message; }
    }
    res.end(JSON.stringify({ refused, names, left: Object.keys(req.session) }));
  },
  '/stored': (req, res) => {
    Object.assign(req.session, { when: new Date(0), gone: undefined, bare: Object.assign(Object.create(null), { a: 1 }), same: { gone: undefined, n: 1n } });
    res.end('ok');
  },
  '/inside': (req, res, key) => { req.session[key].inside = new Date(); res.writeHead(200, { 'X-Own': '1' }); res.write('a'); res.end('b'); },
  '/inside-later': (req, res, key) => { setImmediate(() => { req.session[key].inside = new Date(); res.end('ok'); }); },
  '/push': (req, res, key, body) => { req.session[key].push(parse(body)); res.end('ok'); },
  '/null': (req, res) => { req.session = null; res.end('ok'); },
  '/replace': (req, res, key, body) => { req.session = parse(body); res.end('ok'); },
  '/regenerate': (req, res) => req.session.regenerate(() => res.end(show(req.session))),
  '/reload': (req, res) => {
    req.session.lost = 1;
    req.session.reload(error => res.end(String(error) + Object.keys(req.session)));
  },
  '/touch': (req, res) => { req.session.touch().resetMaxAge(); res.end('ok'); },
  '/remember': (req, res, key, body) => { req.session.user = 'Ann'; req.session.cookie.maxAge = JSON.parse(body); res.end(String(req.session.cookie.expires)); },
  '/expires': (req, res) => { req.session.user = 'Ann'; req.session.cookie.expires = new Date(Date.now() + 100_000); res.end('ok'); },
  '/id': (req, res) => res.end(`${req.sessionID} ${req.session.id}`),
  '/stream': (req, res) => { req.session.streamed = 1; res.write('a'); setImmediate(() => res.end('b')); },
  '/late': (req, res) => {
    res.write('a');
    try { req.session.late = 1; } catch (error) { res.write(error.message); }
    try { req.session.destroy(); } catch (error) { res.write(error.message); }
    res.end();
  },
  '/late-inside': (req, res, key) => { res.write('a'); req.session[key].late = 1; res.end(); },
  '/write-head': (req, res) => {
    const early = res.writeHead(201, 'Made', ['X-Own', '1', 'Content-Length', '5']).headersSent;
    req.session.late = res.statusCode;
    res.end(String(early) + ' ');
  },
  '/pipe': (req, res) => {
    req.session.piped = 1;
    res.writeHead(200, { 'Content-Type': 'text/plain' });
    require('node:stream').Readable.from(['a', 'b']).pipe(res);
  },
  '/patched': (req, res) => {
    // As a compressor does it: it keeps what is written, and writes at the end.
    const { write, end } = res;
    const kept = [];
    res.write = part => kept.push(part) > 0;
    res.end = part => { req.session.patched = 1; write.call(res, kept.join('').toUpperCase()); return end.call(res, part); };
    res.writeHead(200).write('a');
    res.write('b');
    res.end('c');
  },
  '/abort': (req, res) => { req.session.aborted = 1; res.destroy(); },
  '/twice': (req, res) => { req.session.twice = 1; res.end('a'); res.end(); },
  '/not-modified': (req, res) => { req.session.seen = 1; res.writeHead(304).end(); },
  '/head': (req, res) => { req.session.seen = 1; res.flushHeaders(); res.end(); },
  '/empty': (req, res) => { for (const key of Object.keys(req.session)) delete req.session[key]; res.end('ok'); },
  '/still': (req, res) => res.end('no session here'),
};

function answer(req, res, failed) {
  let body = '';
  req.setEncoding('utf8').on('data', part => { body += part; }).on('end', () => {
    const url = new URL(req.url, 'http://app/');
    try {
      pages[url.pathname](req, res, url.searchParams.get('key'), body, url.searchParams.get('name'));
    } catch (error) {
      failed(error);
    }
  });
}

const port = Number(process.env.PORT);
if (process.argv[2] === 'express') {
  const app = require('express')();
  app.set('etag', false);
  app.use(session(options));
  app.use(session(options)); // twice, as in an app of many parts
  if (process.argv[3] === 'passport') require('./node_passport.cjs')(app);
  app.get('/flash', (req, res) => {
    const messages = req.session.flash ?? [];
    delete req.session.flash;
    res.json(messages);
  });
  app.post('/flash', (req, res) => { (req.session.flash ??= []).push('Saved.'); res.redirect('/flash'); });
  app.get('/throw', (req, res) => { req.session.thrown = 1; throw new Error('of the app'); });
  app.get('/send', (req, res) => { req.session.sent = 1; res.json({ sent: 1 }); });
  app.get('/file', (req, res) => { req.session.file = 1; res.sendFile(__filename); });
  app.use((req, res, next) => answer(req, res, next));
  app.listen(port, '127.0.0.1');
} else {
  const middleware = session(options);
  http.createServer((req, res) => {
    const failed = error => { console.error(error); res.writeHead(500).end(); };
    middleware(req, res, () => answer(req, res, failed));
  }).listen(port, '127.0.0.1');
}
