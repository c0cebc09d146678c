// Node's own server. The page is chosen by the path that `new URL` reads, decoded as Fastify's router does it,
// or by the path as it was sent without regard to case, as Express does it.
const fs = require('node:fs');
const http = require('node:http');

const hexed = (text) => Buffer.from(text, 'latin1').toString('hex');

function pathOf(target) {
    try {
        const { pathname } = new URL(target, 'http://app.test');
        try {
            return decodeURIComponent(pathname);
        } catch {
            return pathname;
        }
    } catch {
        return target;
    }
}

http.createServer((request, response) => {
    const body = [];
    request.on('data', (data) => body.push(data));
    request.on('end', () => {
        const path = pathOf(request.url);
        const isAdmin = /^\/admin(\/|$)/.test(path)
            || /^\/admin\/?(?=\/|$)/i.test(request.url.split('?')[0]);
        const fields = [];
        for (let at = 0; at < request.rawHeaders.length; at += 2) {
            fields.push(`${hexed(request.rawHeaders[at])}=${hexed(request.rawHeaders[at + 1])}`);
        }
        const line = [
            hexed(request.method),
            Buffer.from(path).toString('hex'),
            isAdmin ? 'admin' : 'page',
            hexed(request.headers['x-session'] ?? ''),
            hexed('http'),
            request.socket.remotePort,
            Buffer.concat(body).toString('hex'),
            ...fields,
        ].join(' ') + '\n';
        fs.appendFileSync(process.env.SEEN, line);
        response.setHeader('Content-Type', 'text/plain');
        response.end(line);
    });
}).listen(Number(process.argv[2]), '127.0.0.1');
