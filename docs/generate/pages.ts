// All pages that are generated.

import { apiPage } from './api-page.ts'
import { cliPage } from './cli-page.ts'
import type { Page } from './markdown.ts'
import { agentTomlPage, controllerTomlPage } from './settings-pages.ts'
import { fleetSpecPage } from './spec-page.ts'
import { troubleshootingPage } from './troubleshooting-page.ts'

export async function generatedPages(): Promise<readonly Page[]> {
  return [
    cliPage(),
    await apiPage(),
    fleetSpecPage(),
    agentTomlPage(),
    controllerTomlPage(),
    troubleshootingPage(),
  ]
}
