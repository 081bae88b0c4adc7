// Loaded into Azurite before it starts. A request without a body gets its answer, and no "100 Continue" before it: where both
// arrive at once, Azure's client for C++ takes the one for a part of the other, and waits until the connection is closed.
"use strict";

const http = require("http");
const { createServer } = http;

http.createServer = (...words) => {
  const server = createServer(...words);
  server.on("checkContinue", (request, response) => {
    if (request.headers["content-length"] !== "0") response.writeContinue();
    server.emit("request", request, response);
  });
  return server;
};
