# The twins of the vendors' APIs, for trying out and for tests. A warehouse goes to /data.
ARG BELOW=cdp-bridge-core
FROM ${BELOW}
ADD sandbox.tar /
WORKDIR /data
ENTRYPOINT ["/opt/cdp-bridge/bin/cdp-bridge-sandbox"]
CMD ["--help"]
