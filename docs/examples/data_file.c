/* data_file.c - measured data: written, loaded, split, differentiated; a model trained through its rollouts; lists of what there is. */
#include <noether/hnn.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static hnn_error e;

static void need(int code)
{
    if (code) {
        fprintf(stderr, "%s\n", e.message);
        exit(1);
    }
}

int main(void)
{
    /* four recordings of a spring, positions and velocities, as a table with a heading */
    FILE *file = fopen("measured.csv", "w");
    if (!file)
        return 1;
    fprintf(file, "run,seconds,angle,velocity\n");
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 40; i++)
            fprintf(file, "%d,%.3f,%.12f,%.12f\n", k, 0.1 * i, (1 + 0.1 * k) * cos(0.1 * i),
                    -(1 + 0.1 * k) * sin(0.1 * i));
    fclose(file);

    const char *const path[] = {"measured.csv"};
    const hnn_data_options options = {.columns = "trial=run,t=seconds,q=angle,p=velocity", .coords = HNN_QV};
    hnn_data d, part[3];
    need(hnn_data_load(1, path, &options, &d, &e));
    printf("%d trajectories, %ld rows, derivatives: %s\n", d.ntraj, d.n, d.dz ? "yes" : "no");
    need(hnn_data_derivatives(&d, 3, 3, &e)); /* cubics through 7 points */
    double worst = 0;
    for (long i = 0; i < d.n; i++)
        worst = fmax(worst, fabs(d.dz[2 * i] - d.z[2 * i + 1]));
    printf("q' and v differ by %s\n", worst < 1e-2 ? "less than 1e-2" : "more than 1e-2");
    need(hnn_data_split(&d, 0.25, 0.25, 7, part, &e)); /* whole trajectories, drawn by the seed */
    printf("train %d, validation %d, test %d\n", part[0].ntraj, part[1].ntraj, part[2].ntraj);
    need(hnn_data_save("train.npz", &part[0], &e));
    hnn_data_free(&d);
    need(hnn_data_load(1, (const char *const[]){"train.npz"}, NULL, &d, &e));
    printf("read back: %ld rows\n", d.n);
    remove("measured.csv"), remove("train.npz");

    /* what is wrong is said with file, line and column */
    hnn_data none;
    const char *const nowhere[] = {"nowhere.csv"};
    hnn_data_load(1, nowhere, NULL, &none, &e);
    printf("error %d: %s\n", e.code, e.message);

    /* a second-order neural ODE (q' = v, learned acceleration), through rollouts with windows of 1, 2 and 4 samples */
    hnn_model *m;
    hnn_train_result r;
    const hnn_loss_spec loss = {.loss = "rollout", .window = 4};
    need(hnn_model_new(&(hnn_model_spec){.model = "node2", .dof = 1, .width = 16, .coords = HNN_QV}, 3, &m,
                       &e));
    need(hnn_train_windows(m, &loss, &part[0], &part[1], &(hnn_train_options){.steps = 300, .rate = 3e-3}, &r,
                           &e));
    printf("%s after %ld steps, validation loss %s\n", r.end == HNN_TRAINED ? "trained" : "not trained",
           r.steps, r.validation < 0.01 ? "below 0.01" : "above 0.01");

    /* room for data of one's own, and what can be had by name */
    hnn_data own;
    need(hnn_data_new(2, 1, (const long[]){3}, 0, &own, &e));
    printf("%ld states of %d numbers\n", own.n, 2 * own.dof);
    int models = 0, losses = 0, systems = 0;
    for (; hnn_model_at(models); models++)
        ;
    for (; hnn_loss_at(losses); losses++)
        ;
    for (; hnn_system_at(systems); systems++)
        ;
    printf("all counted: %s; the first: %s, %s, %s\n",
           models == hnn_model_count() && losses == hnn_loss_count() && systems == hnn_system_count() ? "yes"
                                                                                                      : "no",
           hnn_model_at(0)->name, hnn_loss_at(0)->name, hnn_system_at(0)->name);
    const hnn_model_row *row = hnn_model_find("separable", &e);
    printf("%s learns %s\n", row ? row->title : e.message, row ? row->learns : "nothing");

    for (int k = 0; k < 3; k++)
        hnn_data_free(&part[k]);
    hnn_data_free(&d), hnn_data_free(&own);
    hnn_train_result_free(&r), hnn_model_free(m);
    return 0;
}
