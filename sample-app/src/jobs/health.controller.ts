import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { TaskmasterHealth, type HealthReport } from 'nestjs-taskmaster';

@Controller('health')
export class HealthController {
  constructor(private readonly health: TaskmasterHealth) {}

  /** 503 when the database cannot be reached, and from the moment the application stops. */
  @Get()
  async check(): Promise<HealthReport> {
    const report = await this.health.check();
    if (report.status === 'down') throw new ServiceUnavailableException(report);
    return report;
  }
}
