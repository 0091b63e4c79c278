import { Module, type DynamicModule } from '@nestjs/common';
import { TaskmasterModule } from 'nestjs-taskmaster';
import { TaskmasterDashboardModule } from 'nestjs-taskmaster/dashboard';
import { ServerInfo } from './console/server.info.js';
import { ShutdownNotice } from './console/shutdown.notice.js';
import { DigestModule } from './digest/digest.module.js';
import { FirstRound } from './first-round.js';
import { HomeController } from './home.controller.js';
import { JobsModule } from './jobs/jobs.module.js';
import { MailModule } from './mail/mail.module.js';
import type { Settings } from './settings.js';
import { SettingsModule } from './settings.module.js';
import { SignupsModule } from './signups/signups.module.js';

@Module({
  imports: [SignupsModule, MailModule, DigestModule, JobsModule],
  controllers: [HomeController],
  providers: [FirstRound, ServerInfo, ShutdownNotice],
})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    const { connection, drainTimeoutMs } = settings;
    return {
      module: AppModule,
      imports: [
        SettingsModule.with(settings),
        TaskmasterModule.forRoot({ connection, shutdown: { drainTimeoutMs } }),
        // No guards: it answers this machine only, and refuses to start in production.
        TaskmasterDashboardModule.forRoot({ path: 'admin/jobs', title: 'Sample app' }),
      ],
    };
  }
}
