"""haproxy as it is, and with its jwt_verify."""

from cases import SECRET

JWT = f"""\
  http-request del-header X-Session
  http-request set-var(txn.t) req.cook(session)
  acl ours var(txn.t),jwt_header_query('$.alg') -m str HS256
  acl good var(txn.t),jwt_verify("HS256","{SECRET}") 1
  http-request set-header X-Session %[var(txn.t),field(2,.),ub64dec] if ours good
"""


def configuration(site, work):
    return f"""\
global
  nbthread {site.workers}
  maxconn 8192
  tune.bufsize 32768
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 3s
  timeout http-keep-alive 600s
frontend front
  bind 127.0.0.1:{site.port} backlog 4096
{work}  default_backend app
backend app
  http-reuse always
  server app 127.0.0.1:{site.backend} pool-max-conn -1
"""


def command(site, work):
    config = site.folder / f"haproxy-{site.port}.cfg"
    config.write_text(configuration(site, work))
    return ["haproxy", "-db", "-q", "-f", config]


def plain(site):
    return command(site, "")


def jwt(site):
    return command(site, JWT)
