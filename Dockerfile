# Wangge as an image: the program alone; its database is another container (compose.yaml).
# Not tried on the machine where the tests run, which has no way to fetch base images.
FROM node:22-bookworm-slim AS assets
WORKDIR /wangge
COPY package.json package-lock.json ./
COPY setup/copy-assets.mjs setup/pack-pages.mjs setup/
COPY api/static api/static
RUN npm ci --ignore-scripts --no-audit --no-fund \
    && node setup/copy-assets.mjs \
    && node setup/pack-pages.mjs \
    && cat package.json package-lock.json setup/copy-assets.mjs | sha256sum | cut -c 1-24 \
        > api/static/vendor/.stamp

FROM python:3.11-slim-bookworm AS environment
WORKDIR /opt/wangge
RUN python -m venv .venv
COPY requirements.lock ./
RUN .venv/bin/python -m pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN .venv/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation --no-index -e .
COPY --from=assets /wangge/api/static/vendor api/static/vendor

FROM python:3.11-slim-bookworm
# pg_dump and pg_restore of the database's version, for backups.
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-client-15 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 990 --user-group --home-dir /var/lib/wangge wangge \
    && install -d -o wangge -g wangge -m 700 /var/lib/wangge /var/lib/wangge/backups
COPY --from=environment /opt/wangge /opt/wangge
ENV PATH=/opt/wangge/.venv/bin:$PATH \
    PYTHONUTF8=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    WANGGE_PROJECT_DIR=/var/lib/wangge \
    WANGGE_BACKUP_DIR=/var/lib/wangge/backups
USER wangge
WORKDIR /var/lib/wangge
VOLUME /var/lib/wangge
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["/opt/wangge/deploy/docker/entry.sh"]
CMD ["serve", "--host", "127.0.0.1", "--port", "8000"]
