"""Apache as it is, and with its sessions in an encrypted cookie."""

import os

from cases import SECRET

THREADS = 128
MODULES = "/usr/lib/apache2/modules"
PLAIN = ["mpm_event", "authz_core", "proxy", "proxy_http"]
SESSION = ["headers", "request", "session", "session_cookie", "session_crypto"]
WORK = f"""\
Session On
SessionEnv On
SessionHeader X-Replace-Session
SessionCookieName session path=/
SessionCookieRemove On
SessionCryptoPassphrase {SECRET}
RequestHeader unset X-Session early
RequestHeader set X-Session "expr=%{{reqenv:HTTP_SESSION}}" env=HTTP_SESSION
"""


def configuration(site, modules, work):
    load = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in modules)
    user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
    return f"""\
{load}{user}ServerRoot {site.folder}
DefaultRuntimeDir {site.folder}
PidFile {site.folder}/apache-{site.port}.pid
ServerName app.test
Listen 127.0.0.1:{site.port}
ListenBackLog 4096
ErrorLog /dev/stderr
LogLevel crit
Mutex pthread
# One process: as near as it has to one worker. With more threads than connections, since it closes
# those that wait once it has no idle thread.
StartServers {site.workers}
ServerLimit {site.workers}
ThreadLimit {THREADS}
ThreadsPerChild {THREADS}
MinSpareThreads {THREADS}
MaxSpareThreads {THREADS}
MaxRequestWorkers {THREADS * site.workers}
AsyncRequestWorkerFactor 32
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 600
ProxyPreserveHost On
ProxyPass / http://127.0.0.1:{site.backend}/ keepalive=On
{work}"""


def command(site, modules, work):
    config = site.folder / f"apache-{site.port}.conf"
    config.write_text(configuration(site, modules, work))
    return ["apache2", "-DFOREGROUND", "-f", config]


def plain(site):
    return command(site, PLAIN, "")


def session(site):
    return command(site, PLAIN + SESSION, WORK)
