import { Body, Controller, Post, StandardSchemaValidationPipe } from '@nestjs/common';
import { z } from 'zod';
import { Address } from '../mail/address.js';
import { SignupService, type Signup } from './signup.service.js';

const SignupRequest = z.object({ email: Address });

@Controller('signups')
export class SignupController {
  constructor(private readonly signups: SignupService) {}

  /** 201 with the sign-up, 409 for an address that is there already, 400 for what is no sign-up at all. */
  @Post()
  signUp(
    @Body({ schema: SignupRequest, pipes: [StandardSchemaValidationPipe] })
    { email }: z.infer<typeof SignupRequest>,
  ): Promise<Signup> {
    return this.signups.signUp(email);
  }
}
