# The bridge itself, which knows every connector. Its state goes to /data.
ARG BELOW=cdp-bridge-core
FROM ${BELOW}
ADD connectors.tar /
ENV CDP_BRIDGE_STORE=sqlite:////data/cdp-bridge.db
WORKDIR /data
HEALTHCHECK --interval=5m --timeout=30s CMD ["/opt/cdp-bridge/bin/cdp-bridge", "connectors"]
ENTRYPOINT ["/opt/cdp-bridge/bin/cdp-bridge"]
CMD ["--help"]
