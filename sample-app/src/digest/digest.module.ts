import { Module } from '@nestjs/common';
import { DigestHandlers } from './digest.handlers.js';
import { DigestSchedule } from './digest.schedule.js';

@Module({ providers: [DigestHandlers, DigestSchedule] })
export class DigestModule {}
