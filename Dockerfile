# The image of Sallyport: Node, dist/, production dependencies. No shell, no compiler, no package manager, not root.
# What the build does is in scripts/image/build.sh, which the tests run without Docker.
FROM node:22-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN scripts/image/build.sh /tree && mkdir -p /state/lib /state/run

# The init container of helm/sallyport: sets the rules of a pod's network, and ends. docker build --target egress
FROM debian:bookworm-slim AS egress
RUN apt-get update && apt-get install -y --no-install-recommends iptables nftables && rm -rf /var/lib/apt/lists/*
COPY helm/sallyport/files/egress.sh /usr/local/bin/egress.sh
ENTRYPOINT ["/usr/local/bin/egress.sh"]

# glibc, libstdc++, CA certificates and time zones; nothing else.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /tree /opt/sallyport
COPY --from=build --chown=65532:65532 /state/lib /var/lib/sallyport
COPY --from=build --chown=65532:65532 /state/run /run/sallyport
# As in bin/sallyport.
ENV PATH=/opt/sallyport/bin NODE_ENV=production UV_THREADPOOL_SIZE=8 NODE_OPTIONS="--max-semi-space-size=4 --v8-pool-size=1 --expose-gc"
USER 65532:65532
WORKDIR /etc/sallyport
# The only places that are written to; the root file system can be read-only (docker run --read-only).
VOLUME ["/var/lib/sallyport", "/run/sallyport"]
EXPOSE 17400 17401
STOPSIGNAL SIGTERM
ENTRYPOINT ["sallyport"]
CMD ["run", "--config", "/etc/sallyport/sallyport.yaml"]
