import { Module } from '@nestjs/common';
import { DigestHandlers } from './digest.handlers.js';

@Module({ providers: [DigestHandlers] })
export class DigestModule {}
