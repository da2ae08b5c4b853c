/* SPDX-License-Identifier: MIT */
/*
 * answer.h - what an answer to a batch means: the table "Answer" of schemas/WIRE.md in code.
 *
 * Owns: that a success without a valid acknowledgement is no success, and which errors are final. An answer is
 * untrusted input. Pure: no clock but the one given, no memory kept.
 */
#ifndef UPLOADER_ANSWER_H
#define UPLOADER_ANSWER_H

#include "uploader/http.h"

enum fr_answer {
	FR_ANSWER_ACCEPTED,
	FR_ANSWER_DUPLICATE, /* it was there already: as good as accepted */
	FR_ANSWER_RETRY,
	FR_ANSWER_TOO_LARGE, /* cut it */
	FR_ANSWER_REFUSED,   /* cut it until the bad event is alone: the receiver's own verdict */
	FR_ANSWER_DOUBTFUL,  /* the same status without a verdict: perhaps not the receiver speaks */
	FR_ANSWER_SETUP,     /* stop and say what to do */
	FR_ANSWER_STOPPED,
};

struct fr_verdict {
	enum fr_answer answer;
	uint64_t retry_after_ms; /* 0: nothing said */
	char why[512];		 /* one line for a person; control characters escaped */
};

void fr_answer_judge(const struct fr_batch *batch, const struct fr_http_answer *answer, int64_t now_seconds,
		     struct fr_verdict *ret_verdict);

#endif
