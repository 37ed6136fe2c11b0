/* learn.c - a small Hamiltonian network learns the pendulum from 20 clean orbits; what it conserves and what it finds. */
#include <noether/hnn.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static hnn_error e;

static void need(int code) /* the message says what was given and what was needed */
{
    if (code) {
        fprintf(stderr, "%s\n", e.message);
        exit(1);
    }
}

int main(void)
{
    enum { TRAJECTORIES = 20, ROWS = 31, TESTS = 5 };
    const hnn_system *s = hnn_system_find("pendulum", &e);
    hnn_model *truth, *m, *copy, *back;
    hnn_flow *f, *learned;
    double start[2 * TRAJECTORIES];
    if (!s)
        need(e.code);
    printf("%s: H = %s\n", s->title, s->H);

    /* trajectories of the truth: for training, and others to measure on */
    hnn_data train, test;
    need(hnn_model_system(s, 0, NULL, &truth, &e));
    need(hnn_flow_new(truth, NULL, &f, &e));
    need(hnn_draw_starts(s, NULL, f, 0, HNN_RNG_DATA, 0, TRAJECTORIES, start, &e));
    need(hnn_simulate(f, TRAJECTORIES, start, ROWS, 3, &train, &e));
    need(hnn_draw_starts(s, NULL, f, 0, HNN_RNG_START, 0, TESTS, start, &e));
    need(hnn_simulate(f, TESTS, start, ROWS, 3, &test, &e));
    printf("%d trajectories, %ld states of %d numbers\n", train.ntraj, train.n, 2 * train.dof);

    /* a network with one hidden layer of 150, solved for by random features and least squares */
    hnn_samples x;
    hnn_train_result r;
    const hnn_loss_spec loss = {.loss = "derivative"};
    const hnn_train_options options = {.optimiser = "lsq", .seed = 1};
    need(hnn_model_new(&(hnn_model_spec){.model = "hnn", .dof = 1, .layers = 1, .width = 150}, 0, &m, &e));
    need(hnn_samples_new(&loss, m, &train, &x, &e));
    need(hnn_train(m, &loss, &x, NULL, &options, &r, &e));
    printf("%s: %ld parameters, %s\n", m->row->title, m->size,
           r.end == HNN_TRAINED && r.loss < 1e-6 ? "trained to a loss below 1e-6" : "not trained well");
    hnn_train_result_free(&r), hnn_samples_free(&x);

    /* how good it is, and what holds whatever it learned */
    hnn_metric metric[HNN_METRICS];
    const hnn_test how = {.truth = f,
                          .clean = &test,
                          .train = &train,
                          .tangent_steps = 50,
                          .drift_steps = 200,
                          .skip = 1u << HNN_LONG_HORIZON | 1u << HNN_LANDSCAPE};
    const double bound[HNN_METRICS] = {
        [HNN_FIELD_ERROR] = 1e-4,        [HNN_ROLLOUT_ERROR] = 1e-4,  [HNN_ENERGY_MSE_TRUE] = 1e-8,
        [HNN_ENERGY_DRIFT_MODEL] = 1e-9, [HNN_VOLUME_DEFECT] = 1e-12, [HNN_SYMPLECTIC_DEFECT] = 1e-12,
        [HNN_CURL_DEFECT] = 1e-12,       [HNN_H_ERROR] = 1e-4};
    need(hnn_measure(m, &how, metric, &e));
    for (int id = 0; id < HNN_METRICS; id++) {
        if (metric[id].why)
            printf("  %-18s no value: %s\n", hnn_metric_name(id), metric[id].why);
        else
            printf("  %-18s %s %g\n", hnn_metric_name(id),
                   metric[id].value <= bound[id] ? "at most" : "above", bound[id]);
    }
    printf("%s is %s when it is larger\n", hnn_metric_name(HNN_LONG_HORIZON),
           hnn_metric_larger_is_better(HNN_LONG_HORIZON) ? "better" : "worse");
    printf("(%s)\n", hnn_metric_title(HNN_CURL_DEFECT));

    /* its equilibria: the learned H has the minimum of the true one */
    const double lo[2] = {-2, -2}, hi[2] = {2, 2};
    hnn_landscape l;
    need(hnn_flow_new(m, NULL, &learned, &e));
    need(hnn_landscape_find(hnn_flow_landscape, learned, 2, lo, hi, NULL, &l, &e));
    for (int i = 0; i < l.n; i++)
        printf("%s, %s, at (%.2f, %.2f), frequency %.1f\n", hnn_kind_name(l.at[i].kind),
               hnn_spectrum_name(l.at[i].spectrum), l.at[i].z[0] + 0.0005, l.at[i].z[1] + 0.0005,
               l.at[i].modes ? l.at[i].frequency[0] : 0);
    hnn_landscape_free(&l);

    /* kept in a file, read back, used as numbers */
    double t[101], z[202], H[2];
    long done;
    need(hnn_model_save("learned.safetensors", m, HNN_F64, &e));
    need(hnn_model_load("learned.safetensors", &back, &e));
    need(hnn_model_copy(back, &copy, &e));
    remove("learned.safetensors");
    int same = 1;
    for (long i = 0; i < m->size; i++)
        same = same && m->theta[i] == copy->theta[i];
    printf("read back to the same bits: %s\n", same ? "yes" : "no");
    for (int i = 0; i <= 100; i++)
        t[i] = 0.1 * i;
    need(hnn_flow_rollout(learned, "gonzalez", 0.1, (const double[]){1, 0}, 101, t, z, &done, &e));
    need(hnn_flow_energy(learned, 1, 0, z, &H[0], &e));
    need(hnn_flow_energy(learned, 1, 0, z + 200, &H[1], &e));
    printf("%ld states by the discrete gradient; the learned H moved by %s\n", done,
           fabs(H[1] - H[0]) < 1e-10 ? "less than 1e-10" : "more than 1e-10");

    hnn_flow_free(f), hnn_flow_free(learned);
    hnn_model_free(truth), hnn_model_free(m), hnn_model_free(copy), hnn_model_free(back);
    hnn_data_free(&train), hnn_data_free(&test);
    return 0;
}
