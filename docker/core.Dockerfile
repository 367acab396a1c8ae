# What every image of ours is made of: Python without a shell or package manager, locked dependencies, the core.
# scripts/images lays out the tar files, so that the same input gives the same layers.
ARG BELOW=gcr.io/distroless/python3-debian12
FROM ${BELOW}
ADD dependencies.tar /
ADD core.tar /
ADD writable.tar /
ENV PATH=/opt/cdp-bridge/bin:/usr/bin \
    PYTHONPATH=/opt/cdp-bridge \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    LANG=C.UTF-8
# The user has no name and needs none.
USER 65532:65532
WORKDIR /
CMD []
