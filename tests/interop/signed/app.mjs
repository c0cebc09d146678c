import http from 'node:http';
import { signed } from './signed.mjs';

const app = signed((request, response) => response.end(request.headers['x-session']));
http.createServer(app).listen(process.env.PORT, '127.0.0.1');
