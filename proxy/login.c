#include "proxy/login.h"
#include "proxy/answer.h"
#include "proxy/errand.h"
#include "proxy/execution.h"
#include "shared/error.h"
#include <stdlib.h>

#define WRONG_PASS "WRONGPASS invalid username-password pair or user is disabled."

/* For names that there are not: they take as long to be refused as those that there are. */
static const struct password nobodys = {.iterations = PASSWORD_ITERATIONS};

int logins_init(struct logins *l, const struct users *users)
{
    l->users = users;
    l->proofs = calloc(users->count, sizeof(*l->proofs));
    return l->proofs ? 0 : RK_NOMEM;
}

void logins_destroy(struct logins *l)
{
    if (l->proofs)
        password_forget(l->proofs, l->users->count * sizeof(*l->proofs));
    free(l->proofs);
    l->proofs = NULL;
}

void login_reset(const struct logins *l, struct session *s)
{
    s->user = USER_DEFAULT;
    s->stranger = l && !users_open(l->users);
}

static enum login admit(struct execution *x, uint32_t user)
{
    x->session->user = user;
    x->session->stranger = false;
    return LOGIN_DONE;
}

static enum login refuse(struct execution *x)
{
    counter_add(&x->router->counters->login_failures, 1);
    reply_error(x, WRONG_PASS);
    if (++x->session->login_failures >= LOGIN_FAILURES_MAX) {
        counter_add(&x->router->counters->closed_for_logins, 1);
        x->session->ending = true;
    }
    return LOGIN_REFUSED;
}

static bool remembered(const struct logins *l, uint32_t user, struct bytes password)
{
    uint8_t proof[PASSWORD_PROOF_SIZE];
    bool same = l->proofs[user].known && password_prove(l->key, password, proof) == 0 &&
                password_proof_equal(proof, l->proofs[user].proof);

    password_forget(proof, sizeof(proof));
    return same;
}

static void remember(struct logins *l, uint32_t user, struct bytes password)
{
    l->proofs[user].known = password_prove(l->key, password, l->proofs[user].proof) == 0;
}

static enum login ask(struct execution *x, const struct password *hash, struct bytes password)
{
    int error = execution_ask(
        x, &(struct errand){.kind = ERRAND_PASSWORD, .hash = hash, .password = password});

    if (!error)
        return LOGIN_WAITS;
    reply_error(x, error == RK_FULL ? "BUSY too many passwords are being checked; try again"
                                    : failure_text(FAILURE_NO_MEMORY));
    return LOGIN_REFUSED;
}

enum login login_try(struct execution *x, struct bytes name, struct bytes password)
{
    struct logins *l = x->router->logins;
    const struct errand *outcome = execution_outcome(x);
    int index = l ? users_find(l->users, name) : RK_NOTFOUND;
    const struct user *user = index < 0 ? NULL : &l->users->list[index];

    /* Without passwords the default user may give any, as in Redis. */
    if (user ? user->free : !l && bytes_equal(name, bytes_from("default")))
        return admit(x, USER_DEFAULT);
    if (outcome) {
        if (!user || user->off || !outcome->matches)
            return refuse(x);
        remember(l, (uint32_t)index, password);
        return admit(x, (uint32_t)index);
    }
    if (!l || password.size > PASSWORD_SIZE_MAX || users_open(l->users))
        return refuse(x);
    if (user && !user->off && remembered(l, (uint32_t)index, password))
        return admit(x, (uint32_t)index);
    return ask(x, user && !user->off ? &user->password : &nobodys, password);
}
