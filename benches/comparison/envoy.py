"""Envoy as it is, and with its jwt_authn filter. JSON is YAML, and Envoy takes both."""

import base64
import json

from cases import SECRET

HTTP = "type.googleapis.com/envoy.extensions"


def jwt_filter():
    key = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    keys = {"keys": [{"kty": "oct", "alg": "HS256", "k": key}]}
    provider = {"from_cookies": ["session"], "forward_payload_header": "x-session",
                "local_jwks": {"inline_string": json.dumps(keys)}}
    either = {"requirements": [{"provider_name": "session"}, {"allow_missing_or_failed": {}}]}
    return {"name": "envoy.filters.http.jwt_authn", "typed_config": {
        "@type": f"{HTTP}.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"session": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": either}}]}}


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def configuration(site, filters):
    router = {"name": "envoy.filters.http.router",
              "typed_config": {"@type": f"{HTTP}.filters.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "app"}}
    manager = {
        "@type": f"{HTTP}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front", "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "app", "domains": ["*"], "routes": [route]}]},
        "http_filters": [*filters, router]}
    listener = {
        "name": "front", "address": address(site.port), "tcp_backlog_size": 4096,
        "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}
    limits = {"thresholds": [{"max_connections": 4096, "max_requests": 4096, "max_pending_requests": 4096}]}
    endpoint = {"endpoint": {"address": address(site.backend)}}
    cluster = {
        "name": "app", "type": "STATIC", "connect_timeout": "3s", "circuit_breakers": limits,
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [endpoint]}]}}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def command(site, filters):
    config = site.folder / f"envoy-{site.port}.json"
    config.write_text(json.dumps(configuration(site, filters)))
    return [site.venv / "bin" / "envoy", "--config-path", config, "--concurrency", site.workers,
            "--disable-hot-restart", "--log-level", "error"]


def plain(site):
    return command(site, [])


def jwt(site):
    return command(site, [jwt_filter()])
