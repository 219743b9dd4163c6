'use strict';
// A name server that knows no name: node nxdomain.js ADDRESS
const dgram = require('node:dgram');

const server = dgram.createSocket('udp4');
server.on('message', (query, from) => {
  const end = query.indexOf(0, 12); // of the name that is asked for
  if (query.length < 12 || end < 0) return;
  const answer = Buffer.from(query.subarray(0, end + 5)); // without additions
  answer.writeUInt16BE(0x8183, 2); // a response; recursion; no such name
  answer.writeUInt16BE(1, 4);
  answer.fill(0, 6, 12);
  server.send(answer, from.port, from.address);
});
server.bind(53, process.argv[2]);
