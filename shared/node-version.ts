// Stops with one clear line where the runtime is too old. Written so that Node 20 can still say so
// when it is asked to run it through the package's scripts.

const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    `tlsfleet needs Node 24 or newer, this is ${process.version}; ` +
      'run it through npm (npm test, npm run demo): npm ci brings Node 24 along\n',
  )
  process.exit(1)
}
