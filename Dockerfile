# The sidecar on its own: `docker build -t cloakroom .`

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# The dependencies first: they are built again only when they change themselves.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir src benches examples \
    && touch src/lib.rs \
    && echo 'fn main() {}' | tee src/main.rs examples/bare.rs > benches/session.rs \
    && cargo build --release --locked --bin cloakroom

COPY src src
RUN touch src/lib.rs src/main.rs && cargo build --release --locked --bin cloakroom


FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="cloakroom" \
      org.opencontainers.image.description="A reverse-proxy sidecar that terminates cookie sessions for apps that have none" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

# For backends that are reached by https.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/cloakroom /usr/local/bin/cloakroom

# Nobody's: a number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
# Ready, and not only alive: asks the admin listener of the configuration.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["cloakroom", "health"]
ENTRYPOINT ["cloakroom"]
CMD ["run"]
