# The runtime's image: docker build -t runtime:latest .
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Install scripts only build optional native code, for which there is no compiler here; nothing is to be missing for that.
RUN npm ci --ignore-scripts
COPY scripts/bundle.ts ./scripts/
COPY src ./src
RUN npm run bundle

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Their install scripts only build optional native code, for which this image has no compiler.
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-slim
# curl for the probes that operators run by hand, tini to reap what the runtime spawns and to hand on SIGTERM.
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates curl tini \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
WORKDIR /app
ENV NODE_ENV=production
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json ./
COPY chart/files/fence.sh ./chart/files/fence.sh
# For people: kubectl exec deployment/runtime -- runtime fleet
RUN printf '#!/bin/sh\nexec node --max-semi-space-size=8 --heap-growing-percent=50 /app/dist/main.js "$@"\n' >/usr/local/bin/runtime \
  && chmod 755 /usr/local/bin/runtime
# What V8 makes of the program, once here and not at each start: two fifths of the time that a start takes. V8 takes it only
# from a node of the same version that runs for the same user under the same flags; nobody may write to it later. The
# heartbeat's file is loaded, and ends where it finds that it is no thread.
ENV NODE_COMPILE_CACHE=/app/compiled
RUN install -d -o 10001 compiled \
  && setpriv --reuid 10001 --regid 10001 --clear-groups runtime --version \
  && ! setpriv --reuid 10001 --regid 10001 --clear-groups \
    node --max-semi-space-size=8 --heap-growing-percent=50 dist/serve/heartbeat-thread.js 2>/dev/null \
  && chown -R root:root compiled && chmod -R a+rX compiled
# A number, so that Kubernetes can see without a passwd file that it is not root.
USER 10001:10001
EXPOSE 8080
# Two bounds on V8, which takes memory by the machine's size and gives little back. Nearly all garbage here dies young
# (documents, replies, log lines), so a nursery of 24 MB serves as well as one of 190 MB; and the old generation is
# collected when it has grown by half, not fourfold: a third less memory at the end of a pass over 100,000 documents.
ENTRYPOINT ["/usr/bin/tini", "--", "node", "--max-semi-space-size=8", "--heap-growing-percent=50", "dist/main.js"]
