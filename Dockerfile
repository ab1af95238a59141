# The gateway alone: no shell, no libraries, no package manager.
#
#   docker build -t sluice --build-arg VERSION=1.2.3 .
#   docker buildx build --platform linux/amd64,linux/arm64 .
#
# The base is an argument, for mirrors and for machines without a network.
ARG GO_IMAGE=golang:1.26-bookworm

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
# The folders of the image are made here, for nothing runs in it but the gateway.
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
      go build -trimpath -ldflags="-s -w -X main.release=$VERSION" -o /image/usr/local/bin/sluice ./cmd/sluice && \
    mkdir -p /image/etc/ssl/certs && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ && \
    echo 'sluice:x:65532:65532:Sluice:/:/sbin/nologin' > /image/etc/passwd && \
    echo 'sluice:x:65532:' > /image/etc/group && \
    install -d -m 1777 /image/tmp

FROM scratch
COPY --from=build /image /
ARG VERSION=devel
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="An FTPS gateway to cloud storage" \
      org.opencontainers.image.source="https://github.com/sluice-ftp/sluice" \
      org.opencontainers.image.documentation="https://github.com/sluice-ftp/sluice/blob/main/docs/kubernetes.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# By number: what runs it can tell that it is not root without looking it up.
USER 65532:65532
# Explicit and implicit FTPS, metrics and health. The passive ports are for who configures them to publish.
EXPOSE 2121 2990 9090
ENTRYPOINT ["/usr/local/bin/sluice"]
CMD ["serve", "--config", "/etc/sluice/sluice.yaml"]
