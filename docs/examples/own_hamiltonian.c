/* own_hamiltonian.c - a Hamiltonian of one's own: as text with constants to fit, as numbers for an integrator, and recorded on a
 * tape with friction. */
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

/* p^2/2 + cosh(q), recorded: z [B, 2] -> [B, 1] */
static ad_var well(const void *context, ad_var z, ad_var time, const ad_var params[])
{
    (void)context, (void)time, (void)params;
    ad_var q = ad_cols_of(z, 0, 1), p = ad_cols_of(z, 1, 1);
    return ad_add(ad_mul(ad_num(0.5), ad_square(p)), ad_cosh(q));
}

/* Rayleigh's function of (q, v): v^2/20 */
static ad_var friction(const void *context, ad_var y, ad_var time, const ad_var params[])
{
    (void)context, (void)time, (void)params;
    return ad_mul(ad_num(0.05), ad_square(ad_cols_of(y, 1, 1)));
}

int main(void)
{
    /* as text: m and k are unknown, data of a spring with m = 2, k = 3 tell them */
    const hnn_constant constant[] = {{"m", 1, 1}, {"k", 1, 1}};
    const hnn_model_spec spec = {
        .model = "text", .dof = 1, .H = "p^2/(2*m) + k*q^2/2", .constant = constant, .constants = 2};
    const hnn_system *spring = hnn_system_find("spring-mk", &e);
    double value[HNN_SYSTEM_PARAMETERS], z0[2];
    hnn_model *truth, *m;
    hnn_flow *f;
    hnn_data d;
    if (!spring)
        need(e.code);
    for (int i = 0; i < HNN_SYSTEM_PARAMETERS; i++)
        value[i] = spring->parameter[i].value;
    value[hnn_system_parameter(spring, "m")] = 2, value[hnn_system_parameter(spring, "k")] = 3;
    need(hnn_system_start(spring, 0, value, z0, &e)); /* the middle of its box */
    need(hnn_model_system(spring, 0, value, &truth, &e));
    need(hnn_flow_new(truth, NULL, &f, &e));
    need(hnn_simulate(f, 2, (const double[]){1, 0, 0, 2}, 40, 8, &d, &e));
    hnn_data_noise(&d, 1e-6, 1e-6, 0); /* standard deviations of states and derivatives, seed */

    hnn_samples x;
    hnn_train_result r;
    const hnn_loss_row *loss = hnn_loss_find("derivative", &e);
    const hnn_loss_spec how = {.loss = loss ? loss->name : NULL};
    need(hnn_model_new(&spec, 0, &m, &e));
    need(hnn_samples_new(&how, m, &d, &x, &e));
    need(hnn_train(m, &how, &x, NULL, &(hnn_train_options){.optimiser = "lm", .steps = 100}, &r, &e));
    for (int i = 0; i < m->params; i++)
        printf("%s = %.3f\n", m->param[i].name, m->theta[m->param[i].offset]);
    hnn_flow_free(f);

    /* as numbers: H, its derivatives, the field and its Jacobian at one state */
    const double z[2] = {1, 2};
    double H, Hz[2], Hzz[4], dz[2], B[4];
    need(hnn_flow_new(m, NULL, &f, &e));
    need(hnn_flow_energy(f, 1, 0, z, &H, &e));
    need(hnn_flow_gradient(f, 1, 0, z, Hz, &e));
    need(hnn_flow_hessian(f, 1, 0, z, Hzz, &e));
    need(hnn_flow_rate(f, 1, 0, z, dz, &e));
    need(hnn_flow_jacobian(f, 1, 0, z, B, &e));
    printf("H %.2f; gradient %.2f %.2f; q' %.2f p' %.2f; diagonal of the Hessian %.2f %.2f; trace of df/dz "
           "%.2f\n",
           H, Hz[0], Hz[1], dz[0], dz[1], Hzz[0], Hzz[3], B[0] + B[3] + 0.0);

    /* by any integrator of ode.h */
    ode_solver *s = ode_new(ode_method_find("gauss6"), hnn_flow_ode(f));
    ode_start(s, 0, z);
    ode_run(s, 1000, 0.01, NULL);
    need(hnn_flow_energy(f, 1, 0, ode_y(s), &Hz[0], &e));
    printf("%d degree of freedom, %s an H; after 1000 steps of gauss6 it moved by %s\n", hnn_flow_dof(f),
           hnn_flow_has_energy(f) ? "with" : "without",
           fabs(Hz[0] - H) < 1e-11 ? "less than 1e-11" : "more than 1e-11");
    printf("the flow has its own copy of model %s\n", hnn_flow_model(f)->row->name);
    ode_free(s);

    /* recorded: canonical, and with friction; J grad H is (dH/dp, -dH/dq) */
    ad_tape *t = ad_new();
    ad_var at = ad_const(t, 1, 2, z), none = ad_num(0);
    ad_var kept = hnn_field(well, NULL, at, none, none, NULL);
    ad_var lost = hnn_field(well, &(hnn_structure){.D = friction}, at, none, none, NULL);
    ad_var J = hnn_canonical(at);
    printf("canonical %.4f %.4f, with friction %.4f %.4f, J z %g %g\n", ad_value(kept)[0], ad_value(kept)[1],
           ad_value(lost)[0], ad_value(lost)[1], ad_value(J)[0], ad_value(J)[1]);

    /* a model on a tape: its parameters are inputs, so its loss can be anything that a tape can say */
    ad_var param[8], energy, field;
    const double *theta[8];
    hnn_model_inputs(m, t, param);
    hnn_model_pointers(m, m->theta, theta);
    energy = hnn_model_energy(m, param, at, none), field = hnn_model_field(m, param, at, none);
    for (int i = 0; i < m->params; i++)
        ad_set(param[i], 1, theta[i]);
    printf("on a tape: H %.2f, q' %.2f\n", ad_value(energy)[0], ad_value(field)[0]);
    if (ad_status(t))
        fprintf(stderr, "%s\n", ad_message(t));
    ad_free(t);

    hnn_train_result_free(&r), hnn_samples_free(&x), hnn_data_free(&d);
    hnn_flow_free(f), hnn_model_free(truth), hnn_model_free(m);
    return 0;
}
