# The sidecar: `docker build --tag cloakroom .`; docs/docker.md shows it with an app.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# `--build-arg CLOAKROOM_BUILD=light` for checks alone: see deploy/build.
ARG CLOAKROOM_BUILD

# The dependencies first, so that they are built again only when they change.
COPY Cargo.toml Cargo.lock build.rs ./
COPY deploy deploy
RUN mkdir src benches \
    && touch src/lib.rs \
    && echo 'fn main() {}' | tee src/main.rs benches/bare.rs > benches/session.rs \
    && deploy/build

# touch: the sources must be newer than the build of the empty files.
COPY config config
COPY src src
RUN touch src/lib.rs src/main.rs && deploy/build \
    && deploy/licences > target/dependencies && gzip -9n target/dependencies


FROM debian:bookworm-slim

# For https backends.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/cloakroom/
# The licences of all linked libraries.
COPY --from=build /src/target/dependencies.gz /usr/share/doc/cloakroom/
COPY --from=build /src/target/*/*/cloakroom /usr/local/bin/cloakroom

# `--build-arg REVISION=$(git rev-parse HEAD)` records the commit.
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cloakroom" \
      org.opencontainers.image.description="A reverse-proxy sidecar that terminates cookie sessions for apps that have none" \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

# For sessions in a file: a volume that is mounted here belongs to the user below.
RUN install --directory --owner=65532 --group=65532 --mode=0700 /var/lib/cloakroom

# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM

# Checks that it is ready, not only alive: asks the [admin] listener in the configuration.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["cloakroom", "health"]

# Reads /etc/cloakroom/cloakroom.toml, or the file that CLOAKROOM_CONFIG names. So does the health check.
ENTRYPOINT ["cloakroom"]
CMD ["run"]
