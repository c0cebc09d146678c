// A small shop that does not handle cookies: the session comes as JSON in X-Session.
import http from 'node:http';

const html = value => String(value).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);
// setHeader sends Latin-1, so non-ASCII characters are escaped.
const json = value => JSON.stringify(value).replace(/[\u007f-\uffff]/g, c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));

const STRANGER = '<form method=post action=/login>Name: <input name=name required maxlength=40> <label><input type=checkbox name=remember> remember me</label> <button>Log in</button></form>';
const friend = name => `<form method=post action=/logout>Hello, <b id=name>${html(name)}</b>. <button>Log out</button></form>`;
const shop = (who, count, hats, coats) => `${who}
<form method=post action=/count><p>Count: <b id=count>${html(count)}</b> <button>Count</button></form>
<form method=post action=/basket><p>Hats: <b id=hat>${html(hats)}</b> <button name=article value=hat>Take a hat</button></form>
<form method=post action=/basket><p>Coats: <b id=coat>${html(coats)}</b> <button name=article value=coat>Take a coat</button></form>
<form method=post action=/empty><p><button>Put all back</button></form>
<p><a href=/session>What is in the session</a>
`;

http.createServer(async (request, response) => {
  const session = JSON.parse(request.headers['x-session']);
  const path = request.url.split('?')[0];
  const page = (status, main) => {
    // With Clear-Site-Data at the log-out, so that the back button shows nothing private.
    response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' });
    response.end(`<!doctype html>\n<title>Hats and coats</title>\n<h1>Hats and coats, in Node</h1>\n${main}`);
  };
  if (request.method === 'POST') {
    let body = '';
    for await (const part of request.setEncoding('utf8')) if (body.length < 10_000) body += part;
    // SameSite does not send the session with forms of other sites, but their answers could replace it.
    const origin = request.headers.origin;
    if (origin !== undefined && origin.replace(/^https?:\/\//, '') !== request.headers.host) return page(403, '<p>That form is not ours.\n');
    const form = new URLSearchParams(body);
    const article = form.get('article');
    if (path === '/login' && /^[^\x00-\x1f\x7f-\x9f]{1,40}$/u.test(form.get('name') ?? '')) {
      response.setHeader('X-Session-Save', json({ ...session, name: form.get('name') }));
      response.setHeader('X-Session-Max-Age', form.has('remember') ? 2592000 : 0);
    } else if (path === '/count') {
      response.setHeader('X-Session-Merge', json({ count: (session.count ?? 0) + 1 }));
    } else if (path === '/basket' && ['hat', 'coat'].includes(article)) {
      response.setHeader('X-Session-Merge', json({ basket: { [article]: (session.basket?.[article] ?? 0) + 1 } }));
    } else if (path === '/empty') {
      response.setHeader('X-Session-Merge', '{"basket":null}');
    } else if (path === '/logout') {
      response.setHeader('X-Session-Delete', '1').setHeader('Clear-Site-Data', '"cache"');
    } else return page(403, '<p>That form is not ours.\n');
    response.writeHead(303, { Location: '/' }).end();
  } else if (path === '/session') {
    page(200, `<pre id=session>${html(request.headers['x-session'])}</pre>\n<p><a href=/>Back</a>\n`);
  } else if (path === '/') {
    const who = session.name === undefined ? STRANGER : friend(session.name);
    page(200, shop(who, session.count ?? 0, session.basket?.hat ?? 0, session.basket?.coat ?? 0));
  } else page(404, '<p>There is no such page.\n');
}).listen(process.env.PORT ?? 8000, process.env.HOST ?? '127.0.0.1');
