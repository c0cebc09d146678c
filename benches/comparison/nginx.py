"""nginx as it is, and with a check of the JWT in Lua over libcrypto."""

import sysconfig

from cases import SECRET

MODULES = "/usr/lib/nginx/modules"


def cjson():
    """Where Debian keeps Lua's JSON."""
    return f"/usr/lib/{sysconfig.get_config_var('MULTIARCH') or 'x86_64-linux-gnu'}/lua/5.1/cjson.so"


# Part of both modules; their `open` gives the dict of a cookie.
COOKIES = r"""
-- The dict, and the cookies that are left without that of the session.
function module.session(cookies)
  if not cookies then return "{}", "" end
  local from = find(cookies, "session=", 1, true)
  while from and from > 1 and byte(cookies, from - 1) ~= 32 and byte(cookies, from - 1) ~= 59 do
    from = find(cookies, "session=", from + 1, true)
  end
  if not from then return "{}", cookies end
  local to = find(cookies, ";", from, true)
  local dict = open(sub(cookies, from + 8, to and to - 1))
  if not to then return dict, (sub(cookies, 1, from - 1):gsub(";%s*$", "")) end
  return dict, sub(cookies, 1, from - 1) .. sub(cookies, to + 1):gsub("^%s+", "")
end
"""

# One keyed context for all requests, as whoever wants speed would write it.
LUA = r"""
local ffi = require "ffi"
local base64 = require "ngx.base64"
local cjson = require "cjson"
ffi.cdef[[
typedef struct hmac_ctx_st HMAC_CTX;
typedef struct evp_md_st EVP_MD;
HMAC_CTX *HMAC_CTX_new(void);
const EVP_MD *EVP_sha256(void);
int HMAC_Init_ex(HMAC_CTX *ctx, const void *key, int len, const EVP_MD *md, void *impl);
int HMAC_Update(HMAC_CTX *ctx, const unsigned char *data, size_t len);
int HMAC_Final(HMAC_CTX *ctx, unsigned char *md, unsigned int *len);
]]
local crypto = ffi.load("libcrypto.so.3")
local secret = "@SECRET@"
local keyed = crypto.HMAC_CTX_new()
assert(crypto.HMAC_Init_ex(keyed, secret, #secret, crypto.EVP_sha256(), nil) == 1)
local mac, length = ffi.new("unsigned char[32]"), ffi.new("unsigned int[1]")
local header = base64.encode_base64url('{"typ":"JWT","alg":"HS256"}') .. "."
local find, sub, byte = string.find, string.sub, string.byte

local function open(token)
  if sub(token, 1, #header) ~= header then return "{}" end
  local dot = find(token, ".", #header + 1, true)
  if not dot then return "{}" end
  if crypto.HMAC_Init_ex(keyed, nil, 0, nil, nil) ~= 1
    or crypto.HMAC_Update(keyed, token, dot - 1) ~= 1
    or crypto.HMAC_Final(keyed, mac, length) ~= 1 then return "{}" end
  if base64.encode_base64url(ffi.string(mac, 32)) ~= sub(token, dot + 1) then return "{}" end
  local payload = base64.decode_base64url(sub(token, #header + 1, dot - 1))
  if not payload then return "{}" end
  local good, claims = pcall(cjson.decode, payload)
  if not good or type(claims) ~= "table" or sub(payload, 1, 1) ~= "{" then return "{}" end
  local now = ngx.now()
  if claims.exp and not (type(claims.exp) == "number" and claims.exp > now) then return "{}" end
  if claims.nbf and not (type(claims.nbf) == "number" and claims.nbf <= now) then return "{}" end
  return payload
end

local module = {}

@COOKIES@
return module
"""


def configuration(site, main, http, location):
    folder = site.folder
    return f"""\
{main}worker_processes {site.workers};
daemon off;
pid {folder}/nginx-{site.port}.pid;
error_log stderr error;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  large_client_header_buffers 8 16k;
{http}  upstream app {{ server 127.0.0.1:{site.backend}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{site.port} backlog=4096;
    location / {{
{location}      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_pass http://app;
    }}
  }}
}}
"""


def command(site, main="", http="", location=""):
    config = site.folder / f"nginx-{site.port}.conf"
    config.write_text(configuration(site, main, http, location))
    return ["nginx", "-e", "stderr", "-c", config]


def plain(site):
    return command(site)


def with_lua(site, module, more=""):
    """nginx with that module, which makes the session of the cookies."""
    module = module.replace("@SECRET@", SECRET).replace("@COOKIES@", COOKIES)
    (site.folder / f"session-{site.port}.lua").write_text(module)
    main = f"load_module {MODULES}/ndk_http_module.so;\nload_module {MODULES}/ngx_http_lua_module.so;\n"
    http = f'  lua_package_path "{site.folder}/?.lua;/usr/share/lua/5.1/?.lua;;";\n' \
        f'  lua_package_cpath "{cjson()};;";\n' \
        f'  init_by_lua_block {{ session = require "session-{site.port}" }}\n'
    location = """\
      set $dict "";
      set $others "";
      rewrite_by_lua_block { ngx.var.dict, ngx.var.others = session.session(ngx.var.http_cookie) }
      proxy_set_header X-Session $dict;
      proxy_set_header Cookie $others;
"""
    return command(site, main, http, location + more)


def lua(site):
    return with_lua(site, LUA)
