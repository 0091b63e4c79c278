import { Module } from '@nestjs/common';
import { NewsletterSchema } from './newsletter.schema.js';
import { SignupController } from './signup.controller.js';
import { SignupService } from './signup.service.js';

@Module({
  controllers: [SignupController],
  providers: [NewsletterSchema, SignupService],
  exports: [SignupService],
})
export class SignupsModule {}
