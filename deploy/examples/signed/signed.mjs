// Refuses requests that cloakroom has not signed (RFC 9421): http.createServer(signed(app)), or
// server.use(signed) with Express and Connect.
import crypto from 'node:crypto';
import fs from 'node:fs';

const secret = path => fs.readFileSync(path, 'latin1').replace(/\r?\n$/, '');

// The secrets of headers.signature by id; two of them while you replace one.
const KEYS = new Map([['2026', secret('/run/secrets/app_signature_key')]]);
// Each header of [headers.claims] that the app reads.
const FIELDS = ['x-session', 'x-remote-user'];

const INPUT = /^cloakroom=(\(("[^"]+"(?: "[^"]+")*)\);created=\d+;expires=(\d+);keyid="([^"]*)";alg="hmac-sha256")$/;
const SIGNATURE = /^cloakroom=:([A-Za-z0-9+/]{43}=):$/;

export function isSigned({ method, headers, url, originalUrl = url }) {
  const input = INPUT.exec(headers['signature-input'] ?? '');
  const signature = SIGNATURE.exec(headers.signature ?? '');
  if (!input || !signature) return false;
  const [, parameters, quoted, expires, id] = input;
  const names = quoted.replaceAll('"', '').split(' ');
  // A header that is present but not signed is forged.
  const told = FIELDS.filter(name => headers[name] !== undefined);
  const required = ['@method', '@request-target', 'x-session', ...told];
  if (!required.every(name => names.includes(name)) || !KEYS.has(id) || Number(expires) <= Date.now() / 1000) return false;
  const value = { '@method': method, '@request-target': originalUrl };
  const lines = names.map(name => `"${name}": ${value[name] ?? headers[name]}\n`);
  const base = `${lines.join('')}"@signature-params": ${parameters}`;
  // Node reads headers as Latin-1.
  const key = Buffer.from(KEYS.get(id), 'latin1');
  const right = crypto.createHmac('sha256', key).update(base, 'latin1').digest();
  return crypto.timingSafeEqual(right, Buffer.from(signature[1], 'base64'));
}

export function signed(...args) {
  const [app] = args;
  if (args.length === 1) return (request, response) => signed(request, response, () => app(request, response));
  const [request, response, next] = args;
  if (isSigned(request)) return next();
  response.statusCode = 403;
  return response.end('not from the sidecar\n');
}
