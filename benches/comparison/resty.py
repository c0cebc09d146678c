"""nginx with a session in Lua that is read and saved, the way lua-resty-session 4 documents it: no package
of Debian has that library. A header of fixed size with an HMAC-SHA256, an AES-256-GCM payload, both keys
by HKDF-SHA256 from the secret and the session's id, a new id for each save; both as base64url."""

from . import nginx

LUA = r"""
local ffi = require "ffi"
local bit = require "bit"
local base64 = require "ngx.base64"
local cjson = require "cjson"
ffi.cdef[[
typedef struct hmac_ctx_st HMAC_CTX;
typedef struct evp_md_st EVP_MD;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_pkey_ctx_st EVP_PKEY_CTX;
const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *md, const void *key, int key_len, const unsigned char *data, size_t len,
                    unsigned char *out, unsigned int *out_len);
int RAND_bytes(unsigned char *buf, int num);
EVP_PKEY_CTX *EVP_PKEY_CTX_new_id(int id, void *e);
int EVP_PKEY_derive_init(EVP_PKEY_CTX *ctx);
int EVP_PKEY_CTX_set_hkdf_md(EVP_PKEY_CTX *ctx, const EVP_MD *md);
int EVP_PKEY_CTX_set1_hkdf_salt(EVP_PKEY_CTX *ctx, const unsigned char *salt, int len);
int EVP_PKEY_CTX_set1_hkdf_key(EVP_PKEY_CTX *ctx, const unsigned char *key, int len);
int EVP_PKEY_CTX_add1_hkdf_info(EVP_PKEY_CTX *ctx, const unsigned char *info, int len);
int EVP_PKEY_derive(EVP_PKEY_CTX *ctx, unsigned char *key, size_t *len);
const EVP_CIPHER *EVP_aes_256_gcm(void);
EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
int EVP_CipherInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, void *impl, const unsigned char *key,
                      const unsigned char *iv, int enc);
int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl, const unsigned char *in, int inl);
int EVP_CipherFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl);
int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr);
]]
local crypto = ffi.load("libcrypto.so.3")
local sha256, gcm = crypto.EVP_sha256(), crypto.EVP_aes_256_gcm()
local hkdf = crypto.EVP_PKEY_CTX_new_id(1036, nil)
local cipher = crypto.EVP_CIPHER_CTX_new()
local secret = ngx.sha256_bin and ngx.sha256_bin("@SECRET@") or "@SECRET@"
local derived, derived_length = ffi.new("unsigned char[64]"), ffi.new("size_t[1]")
local mac, mac_length = ffi.new("unsigned char[32]"), ffi.new("unsigned int[1]")
local ROOM = 16384
local text, text_length = ffi.new("unsigned char[?]", ROOM), ffi.new("int[1]")
local tag, random = ffi.new("unsigned char[16]"), ffi.new("unsigned char[32]")
local find, sub, byte, char = string.find, string.sub, string.byte, string.char
local GET_TAG, SET_TAG = 16, 17
-- Type, flags, id, created, rolling offset, size, tag, idling offset, MAC: bytes of each.
local SIGNED, HEADER = 1 + 2 + 32 + 5 + 4 + 3 + 16 + 3, 82
local ENCODED = math.ceil(HEADER * 4 / 3)
local LIFETIME = 14 * 86400

local function derive(purpose, id, length)
  derived_length[0] = length
  assert(crypto.EVP_PKEY_derive_init(hkdf) == 1
    and crypto.EVP_PKEY_CTX_set_hkdf_md(hkdf, sha256) == 1
    and crypto.EVP_PKEY_CTX_set1_hkdf_salt(hkdf, "", 0) == 1
    and crypto.EVP_PKEY_CTX_set1_hkdf_key(hkdf, secret, #secret) == 1
    and crypto.EVP_PKEY_CTX_add1_hkdf_info(hkdf, purpose .. id, #purpose + #id) == 1
    and crypto.EVP_PKEY_derive(hkdf, derived, derived_length) == 1)
end

local function authenticate(signed, id)
  derive("authentication:", id, 32)
  crypto.HMAC(sha256, derived, 32, signed, #signed, mac, mac_length)
  return ffi.string(mac, 16)
end

-- Key and nonce of the payload are in `derived` afterwards; what comes before the size is bound to it.
local function crypt(data, bound, id, encrypting)
  if #data > ROOM then return nil end
  derive("encryption:", id, 44)
  if crypto.EVP_CipherInit_ex(cipher, gcm, nil, derived, derived + 32, encrypting) ~= 1
    or crypto.EVP_CipherUpdate(cipher, nil, text_length, bound, #bound) ~= 1
    or crypto.EVP_CipherUpdate(cipher, text, text_length, data, #data) ~= 1 then return nil end
  local length = text_length[0]
  if encrypting == 0 then crypto.EVP_CIPHER_CTX_ctrl(cipher, SET_TAG, 16, tag) end
  if crypto.EVP_CipherFinal_ex(cipher, text + length, text_length) ~= 1 then return nil end
  if encrypting == 1 then crypto.EVP_CIPHER_CTX_ctrl(cipher, GET_TAG, 16, tag) end
  return ffi.string(text, length)
end

local function packed(number, size)
  local bytes = {}
  for at = 1, size do
    bytes[at] = char(number % 256)
    number = math.floor(number / 256)
  end
  return table.concat(bytes)
end

local function unpacked(bytes)
  local number = 0
  for at = #bytes, 1, -1 do number = number * 256 + byte(bytes, at) end
  return number
end

local function same(one, other)
  local difference = 0
  for at = 1, 16 do difference = bit.bor(difference, bit.bxor(byte(one, at), byte(other, at))) end
  return difference == 0
end

local function open(value)
  local header = base64.decode_base64url(sub(value, 1, ENCODED))
  if not header or #header ~= HEADER or byte(header) ~= 1 then return "{}" end
  local id = sub(header, 4, 35)
  if not same(authenticate(sub(header, 1, SIGNED), id), sub(header, SIGNED + 1)) then return "{}" end
  if unpacked(sub(header, 36, 40)) + LIFETIME <= ngx.time() then return "{}" end
  local payload = base64.decode_base64url(sub(value, ENCODED + 1))
  if not payload or #payload ~= unpacked(sub(header, 45, 47)) then return "{}" end
  ffi.copy(tag, sub(header, 48, 63), 16)
  local data = crypt(payload, sub(header, 1, 47), id, 0)
  local good, dict = pcall(cjson.decode, data)
  if not data or not good or type(dict) ~= "table" then return "{}" end
  return data
end

local module = {}

function module.close(data)
  assert(crypto.RAND_bytes(random, 32) == 1)
  local id = ffi.string(random, 32)
  local bound = char(1) .. packed(0, 2) .. id .. packed(ngx.time(), 5) .. packed(0, 4) .. packed(#data, 3)
  local payload = crypt(data, bound, id, 1)
  local signed = bound .. ffi.string(tag, 16) .. packed(0, 3)
  return base64.encode_base64url(signed .. authenticate(signed, id)) .. base64.encode_base64url(payload)
end

@COOKIES@
-- What the app wants saved, as a cookie.
function module.save()
  local dict = ngx.header["X-Session-Save"]
  if not dict then return end
  ngx.header["X-Session-Save"] = nil
  if not pcall(cjson.decode, dict) then return end
  ngx.header["Set-Cookie"] = "session=" .. module.close(dict) .. "; Path=/; SameSite=Lax; HttpOnly"
end

return module
"""

SAVE = "      header_filter_by_lua_block { session.save() }\n"


def command(site):
    return nginx.with_lua(site, LUA, SAVE)
