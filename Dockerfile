FROM node:24-slim
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm install --no-save --omit=dev
COPY tsconfig.json ./
COPY src src
COPY commands commands
COPY playbooks playbooks
USER node
ENTRYPOINT ["tini", "--", "node", "src/main.ts"]
CMD ["start"]
