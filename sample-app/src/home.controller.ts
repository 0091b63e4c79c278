import { Controller, Get } from '@nestjs/common';

/** For whoever opens the address in a browser. */
@Controller()
export class HomeController {
  @Get()
  routes(): Record<string, string> {
    return {
      'GET /admin/jobs': 'the dashboard',
      'POST /signups':
        'signs up {"email": "..."}: stores the subscriber and the welcome mail in one transaction',
      'GET /jobs?state=failed': 'jobs in one state, the newest first; `limit` of them',
      'GET /jobs/times': 'how long handlers have taken in this process',
      'GET /health': 'whether database and workers are up',
    };
  }
}
