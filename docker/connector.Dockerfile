# One connector; `connector` is its console script.
ARG BELOW=cdp-bridge-core
FROM ${BELOW}
ADD connector.tar /
HEALTHCHECK --interval=5m --timeout=30s CMD ["/opt/cdp-bridge/bin/connector", "spec"]
ENTRYPOINT ["/opt/cdp-bridge/bin/connector"]
