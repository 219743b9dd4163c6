'use strict';
// Certificates for 127.0.0.1, each its own authority.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { OUTPUT } = require('./process');

const dir = path.join(OUTPUT, `${process.pid}-pairs`);

// Files with the certificate, the key, and both in one; ca is the certificate.
function pair(name) {
  fs.mkdirSync(dir, { recursive: true });
  const [cert, key, both] = ['crt', 'key', 'pem'].map((end) => path.join(dir, `${name}.${end}`));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
    'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
    '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
  { stdio: 'ignore' });
  fs.chmodSync(key, 0o600);
  const ca = fs.readFileSync(cert);
  fs.writeFileSync(both, Buffer.concat([ca, fs.readFileSync(key)]), { mode: 0o600 });
  return { cert, key, both, ca };
}

module.exports = { pair };
