// Loaded before a test file (`node --import`). tap follows every asynchronous resource, to know which test an
// uncaught error is of. Following promises takes half of the time of tests that make many. Without it a rejection
// that nobody handles is a failure of the file instead of one of its tests; all else is told as before.

import { createRequire, syncBuiltinESMExports } from 'node:module'

const hooks = createRequire(import.meta.url)('node:async_hooks')
const { createHook } = hooks
hooks.createHook = (callbacks: object) => createHook({ ...callbacks, trackPromises: false })
syncBuiltinESMExports()
