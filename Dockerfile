# Footpath for people without Rust.
#
#   docker build -t footpath .
#   docker run -p 7400:7400 -v footpath:/data footpath
#
# The first start prints a project key and a link; open it as http://localhost:7400/?code=...
# The demo: docker run -p 7480:7480 footpath demo --data /data/demo --listen 0.0.0.0:7480

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p footpath-server --bin footpath

FROM debian:bookworm-slim
RUN useradd --system --uid 7400 footpath && install -d -o footpath -m 0700 /data
COPY --from=build /src/target/release/footpath /usr/local/bin/footpath
USER footpath
WORKDIR /data
VOLUME /data
EXPOSE 7400
ENV FOOTPATH_DATA=/data FOOTPATH_LISTEN=0.0.0.0:7400
# SIGTERM drains: what was acknowledged is on disk anyway.
STOPSIGNAL SIGTERM
ENTRYPOINT ["footpath"]
CMD ["serve"]
