/* SPDX-License-Identifier: MIT */
/*
 * ask.h - one question to flightrecd over its socket.
 *
 * Owns: which socket is asked (ours; then, for a user without one, the system's), and how long an answer may take.
 */
#ifndef RECORDER_CLI_ASK_H
#define RECORDER_CLI_ASK_H

#include "recorder/core/proto.h"

/*
 * Sends the request (size and version are filled in) and waits for the answer, at most timeout_ms. 0: *ret_answer is there, and its
 * text, terminated, in `text` (FR_PROTO_TEXT_MAX + 1 bytes). -ENOENT: no daemon runs. -ETIMEDOUT, -EPROTO, or what connect says.
 */
int fr_ask(struct fr_proto_request *request, struct fr_proto_answer *ret_answer, char *text, int timeout_ms);

#define FR_ASK_PATIENT_MS 5000

#endif
