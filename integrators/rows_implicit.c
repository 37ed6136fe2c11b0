/* rows_implicit.c - implicit methods, for any H: collocation, discrete gradients, compositions of them.
 * Invariant: A and b of Gauss rows to 36 digits, so that the method and not its table limits the energy. */
/* SPDX-License-Identifier: MIT */
#include "rows.h"

static const ode_method midpoint = {
    .name = "gonzalez", .driver = &ode_gonzalez_driver, .order = 2, .order_general = 2, .stages = 1};
static const ode_method average = {
    .name = "avf6",
    .driver = &ode_avf_driver,
    .order = 2,
    .order_general = 2,
    .stages = 3,
    .a = "0.112701665379258311482073460021760039 0.5 0.887298334620741688517926539978239961",
    .b = "0.277777777777777777777777777777777778 0.444444444444444444444444444444444444 "
         "0.277777777777777777777777777777777778"};

static const ode_method copies = {
    .name = "tao2", .driver = &ode_tao_driver, .order = 2, .order_general = 2, .stages = 4};
static const ode_method projected = {.name = "semi-explicit2",
                                     .driver = &ode_semiexplicit_driver,
                                     .order = 2,
                                     .order_general = 2,
                                     .stages = 3};

ODE_HIDDEN const ode_method ode_rows_implicit[] = {
    /* omega is the caller's: what is right for one H destroys another */
    {.name = "tao2",
     .driver = &ode_tao_driver,
     .order = 2,
     .order_general = 2,
     .stages = 4,
     .needs = ODE_CANONICAL | ODE_OMEGA,
     .source = "Tao (2016), Phys. Rev. E 94, 043303"},
    {.name = "tao4",
     .driver = &ode_compose_driver,
     .order = 4,
     .order_general = 4,
     .stages = 12,
     .needs = ODE_CANONICAL | ODE_OMEGA,
     .base = &copies,
     .a = "1.35120719195965763404768780897146083 -1.70241438391931526809537561794292165 "
          "1.35120719195965763404768780897146083",
     .source =
         "Tao (2016), Phys. Rev. E 94, 043303; triple jump: Yoshida (1990), Phys. Lett. A 150, 262-268"},
    {.name = "semi-explicit2",
     .driver = &ode_semiexplicit_driver,
     .order = 2,
     .order_general = 2,
     .stages = 3,
     .flags = ODE_SYMPLECTIC | ODE_SYMMETRIC,
     .needs = ODE_CANONICAL,
     .source = "Jayawardana and Ohsawa (2023), Math. Comp. 92, 251-281: symmetric projection"},
    {.name = "semi-explicit4",
     .driver = &ode_compose_driver,
     .order = 4,
     .order_general = 4,
     .stages = 9,
     .flags = ODE_SYMPLECTIC | ODE_SYMMETRIC,
     .needs = ODE_CANONICAL,
     .base = &projected,
     .a = "1.35120719195965763404768780897146083 -1.70241438391931526809537561794292165 "
          "1.35120719195965763404768780897146083",
     .source = "Jayawardana and Ohsawa (2023), Math. Comp. 92, 251-281; triple jump: Yoshida (1990)"},
    {.name = "itoh-abe",
     .driver = &ode_itoh_abe_driver,
     .order = 1,
     .order_general = 1,
     .stages = 1,
     .flags = ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL | ODE_ENERGY,
     .source = "Itoh and Abe (1988), J. Comput. Phys. 76, 85-102"},
    {.name = "gauss2",
     .driver = &ode_collocation_driver,
     .order = 2,
     .order_general = 2,
     .stages = 1,
     .flags = ODE_SYMPLECTIC | ODE_SYMMETRIC,
     .a = "1/2",
     .b = "1",
     .source = "Butcher (1964), Math. Comp. 18, 50-64; nodes by Newton on the Legendre polynomial"},
    {.name = "gauss4",
     .driver = &ode_collocation_driver,
     .order = 4,
     .order_general = 4,
     .stages = 2,
     .flags = ODE_SYMPLECTIC | ODE_SYMMETRIC,
     .a = "0.25 -0.0386751345948128822545743902509787278 | 0.538675134594812882254574390250978728 0.25",
     .b = "0.5 0.5",
     .source = "Butcher (1964), Math. Comp. 18, 50-64; nodes by Newton on the Legendre polynomial"},
    {.name = "gauss6",
     .driver = &ode_collocation_driver,
     .order = 6,
     .order_general = 6,
     .stages = 3,
     .flags = ODE_SYMPLECTIC | ODE_SYMMETRIC,
     .a = "0.138888888888888888888888888888888889 -0.0359766675249389034563954710966044185 "
          "0.00978944401530832604958004222947556853 | 0.300263194980864592438024947213155539 "
          "0.222222222222222222222222222222222222 -0.0224854172030868146602471694353777616 | "
          "0.267988333762469451728197735548302209 0.480421111969383347900839915541048863 "
          "0.138888888888888888888888888888888889",
     .b = "0.277777777777777777777777777777777778 0.444444444444444444444444444444444444 "
          "0.277777777777777777777777777777777778",
     .source = "Butcher (1964), Math. Comp. 18, 50-64; nodes by Newton on the Legendre polynomial"},
    {.name = "gauss8",
     .driver = &ode_collocation_driver,
     .order = 8,
     .order_general = 8,
     .stages = 4,
     .flags = ODE_SYMPLECTIC | ODE_SYMMETRIC,
     .a = "0.0869637112843634643432659873054998518 -0.0266041800849987933133851304769531093 "
          "0.0126274626894047245150568805746180936 -0.0035551496857956831569109818495695886 | "
          "0.18811811749986807165068554508717116 0.163036288715636535656734012694500148 "
          "-0.0278804286024708952241511064189974107 0.00673550059453815551539866908570375889 | "
          "0.167191921974188773171133305525295945 0.353953006033743966537619131807997707 "
          "0.163036288715636535656734012694500148 -0.0141906949311411429641535704761714564 | "
          "0.177482572254522611843442956460569292 0.313445114741868346798411144814382203 "
          "0.352676757516271864626853155865953406 0.0869637112843634643432659873054998518",
     .b = "0.173927422568726928686531974610999704 0.326072577431273071313468025389000296 "
          "0.326072577431273071313468025389000296 0.173927422568726928686531974610999704",
     .source = "Butcher (1964), Math. Comp. 18, 50-64; nodes by Newton on the Legendre polynomial"},
    {.name = "gauss10",
     .driver = &ode_collocation_driver,
     .order = 10,
     .order_general = 10,
     .stages = 5,
     .flags = ODE_SYMPLECTIC | ODE_SYMMETRIC,
     .a = "0.0592317212640472718785660101799793407 -0.01957036435907603749264321405088406 "
          "0.0112544008186429555527162442150907488 -0.00559379366081218487681772196447592822 "
          "0.00158811296786599853936524247059341624 | 0.128151005670045283496166848329513822 "
          "0.119657167624841617010322878708909548 -0.0245921146196422003893182516860040166 "
          "0.0103182806706833574089539450563558395 -0.00276899439876960304428263075887959576 | "
          "0.113776288004224602528741273815365577 0.260004651680641518592405895187573979 "
          "0.142222222222222222222222222222222222 -0.0206903164309582845717601377697548829 "
          "0.00468715452386994122839074654459310446 | 0.121232436926864146801414651118838277 "
          "0.228996054578999876611691812361463257 0.309036559064086644833762696130448461 "
          "0.119657167624841617010322878708909548 -0.00968756314195073973903482796955514087 | "
          "0.116875329560228545217766777889365265 0.244908128910495418897463479382295025 "
          "0.273190043625801488891728200229353696 0.258884699608759271513288971468703156 "
          "0.0592317212640472718785660101799793407",
     .b = "0.118463442528094543757132020359958681 0.239314335249683234020645757417819096 "
          "0.284444444444444444444444444444444444 0.239314335249683234020645757417819096 "
          "0.118463442528094543757132020359958681",
     .source = "Butcher (1964), Math. Comp. 18, 50-64; nodes by Newton on the Legendre polynomial"},
    {.name = "gauss12",
     .driver = &ode_collocation_driver,
     .order = 12,
     .order_general = 12,
     .stages = 6,
     .flags = ODE_SYMPLECTIC | ODE_SYMMETRIC,
     .a = "0.0428311230947925862600740355431832234 -0.0147637259971974124753725910605206514 "
          "0.00932505070647775119143888450800314859 -0.00566885804948351190092125641621650656 "
          "0.00285443331509933513092928583011602153 -0.000812780171264762112299135651562540067 | "
          "0.0926734914303788631865122917633203161 0.0901903932620346518924583784594290279 "
          "-0.0203001022932395859524940805242724601 0.0103631562402464237307199458065599779 "
          "-0.00488719292803767146341420376578964407 0.00135556105548506177551787075080010874 | "
          "0.0822479226128438738077716511411289216 0.196032162333245006055759781563801383 "
          "0.116978483643172761847467585997387749 -0.0204825277456560976298590118654006438 "
          "0.00798999189966233579720442148030827079 -0.00207562578486633419359528915758164773 | "
          "0.0877378719744515067137433602439480945 0.172390794624406967987712335438549785 "
          "0.254439495032001621324794183860176141 0.116978483643172761847467585997387749 "
          "-0.015651375809175702270843024644943327 0.00341432357674129871237641994523752521 | "
          "0.084306685134100110744630200335566338 0.1852679794521069752483309606846477 "
          "0.22359381104609909996421522618821552 0.254257069579585109647429252519047958 "
          "0.0901903932620346518924583784594290279 -0.00701124524079369066636422067695386938 | "
          "0.0864750263608499346324472067379289868 0.177526353208969968653987471088742034 "
          "0.239625825335829035595856428410992004 0.224631916579867772503496287486772349 "
          "0.195144512521266716260289347979378707 0.0428311230947925862600740355431832234",
     .b = "0.0856622461895851725201480710863664468 0.180380786524069303784916756918858056 "
          "0.233956967286345523694935171994775497 0.233956967286345523694935171994775497 "
          "0.180380786524069303784916756918858056 0.0856622461895851725201480710863664468",
     .source = "Butcher (1964), Math. Comp. 18, 50-64; nodes by Newton on the Legendre polynomial"},
    {.name = "stormer-verlet",
     .driver = &ode_collocation_driver,
     .order = 2,
     .order_general = 2,
     .stages = 2,
     .flags = ODE_SYMPLECTIC | ODE_SYMMETRIC,
     .needs = ODE_CANONICAL,
     .a = "0 0 | 1/2 1/2",
     .a2 = "1/2 0 | 1/2 0",
     .b = "1/2 1/2",
     .source = "Hairer, Lubich and Wanner (2003), Acta Numerica 12, 399-450, (1.24): the Lobatto IIIA-IIIB "
               "pair of two stages"},
    {.name = "lobatto4",
     .driver = &ode_collocation_driver,
     .order = 4,
     .order_general = 4,
     .stages = 3,
     .flags = ODE_SYMPLECTIC | ODE_SYMMETRIC,
     .needs = ODE_CANONICAL,
     .a = "0 0 0 | 5/24 1/3 -1/24 | 1/6 2/3 1/6",
     .a2 = "1/6 -1/6 0 | 1/6 1/3 0 | 1/6 5/6 0",
     .b = "1/6 2/3 1/6",
     .source = "Sun (1993); Jay (1996), SIAM J. Numer. Anal. 33, 368-387: the Lobatto IIIA-IIIB pair of "
               "three stages"},
    {.name = "gonzalez",
     .driver = &ode_gonzalez_driver,
     .order = 2,
     .order_general = 2,
     .stages = 1,
     .flags = ODE_SYMMETRIC | ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL | ODE_ENERGY,
     .source = "Gonzalez (1996), J. Nonlinear Sci. 6, 449-467: midpoint discrete gradient"},
    {.name = "avf2",
     .driver = &ode_avf_driver,
     .order = 2,
     .order_general = 2,
     .stages = 1,
     .flags = ODE_SYMPLECTIC | ODE_SYMMETRIC | ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL,
     .a = "1/2",
     .b = "1",
     .source =
         "Quispel and McLaren (2008), J. Phys. A 41, 045206; Gauss quadrature, exact for H of degree 2"},
    {.name = "avf4",
     .driver = &ode_avf_driver,
     .order = 2,
     .order_general = 2,
     .stages = 2,
     .flags = ODE_SYMMETRIC | ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL,
     .a = "0.211324865405187117745425609749021272 0.788675134594812882254574390250978728",
     .b = "0.5 0.5",
     .source =
         "Quispel and McLaren (2008), J. Phys. A 41, 045206; Gauss quadrature, exact for H of degree 4"},
    {.name = "avf6",
     .driver = &ode_avf_driver,
     .order = 2,
     .order_general = 2,
     .stages = 3,
     .flags = ODE_SYMMETRIC | ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL,
     .a = "0.112701665379258311482073460021760039 0.5 0.887298334620741688517926539978239961",
     .b = "0.277777777777777777777777777777777778 0.444444444444444444444444444444444444 "
          "0.277777777777777777777777777777777778",
     .source =
         "Quispel and McLaren (2008), J. Phys. A 41, 045206; Gauss quadrature, exact for H of degree 6"},
    {.name = "avf8",
     .driver = &ode_avf_driver,
     .order = 2,
     .order_general = 2,
     .stages = 4,
     .flags = ODE_SYMMETRIC | ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL,
     .a = "0.0694318442029737123880267555535952475 0.330009478207571867598667120448377656 "
          "0.669990521792428132401332879551622344 0.930568155797026287611973244446404753",
     .b = "0.173927422568726928686531974610999704 0.326072577431273071313468025389000296 "
          "0.326072577431273071313468025389000296 0.173927422568726928686531974610999704",
     .source =
         "Quispel and McLaren (2008), J. Phys. A 41, 045206; Gauss quadrature, exact for H of degree 8"},
    {.name = "avf12",
     .driver = &ode_avf_driver,
     .order = 2,
     .order_general = 2,
     .stages = 6,
     .flags = ODE_SYMMETRIC | ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL,
     .a = "0.0337652428984239860938492227530026954 0.169395306766867743169300202490047326 "
          "0.380690406958401545684749139159644032 0.619309593041598454315250860840355968 "
          "0.830604693233132256830699797509952674 0.966234757101576013906150777246997305",
     .b = "0.0856622461895851725201480710863664468 0.180380786524069303784916756918858056 "
          "0.233956967286345523694935171994775497 0.233956967286345523694935171994775497 "
          "0.180380786524069303784916756918858056 0.0856622461895851725201480710863664468",
     .source =
         "Quispel and McLaren (2008), J. Phys. A 41, 045206; Gauss quadrature, exact for H of degree 12"},
    {.name = "avf16",
     .driver = &ode_avf_driver,
     .order = 2,
     .order_general = 2,
     .stages = 8,
     .flags = ODE_SYMMETRIC | ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL,
     .a = "0.0198550717512318841582195657152635048 0.101666761293186630204223031762084782 "
          "0.237233795041835507091130475405376825 0.40828267875217509753026192881990801 "
          "0.59171732124782490246973807118009199 0.762766204958164492908869524594623175 "
          "0.898333238706813369795776968237915218 0.980144928248768115841780434284736495",
     .b = "0.0506142681451881295762656771549810951 0.111190517226687235272177997213120442 "
          "0.156853322938943643668981100993300657 0.181341891689180991482575224638597806 "
          "0.181341891689180991482575224638597806 0.156853322938943643668981100993300657 "
          "0.111190517226687235272177997213120442 0.0506142681451881295762656771549810951",
     .source =
         "Quispel and McLaren (2008), J. Phys. A 41, 045206; Gauss quadrature, exact for H of degree 16"},
    {.name = "gonzalez-order4",
     .driver = &ode_compose_driver,
     .order = 4,
     .order_general = 4,
     .stages = 5,
     .flags = ODE_SYMMETRIC | ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL | ODE_ENERGY,
     .base = &midpoint,
     .a = "0.414490771794375737142354062860761496 0.414490771794375737142354062860761496 "
          "-0.657963087177502948569416251443045983 0.414490771794375737142354062860761496 "
          "0.414490771794375737142354062860761496",
     .source = "Suzuki (1990), Phys. Lett. A 146, 319-323: five steps"},
    {.name = "gonzalez-order6",
     .driver = &ode_compose_driver,
     .order = 6,
     .order_general = 6,
     .stages = 9,
     .flags = ODE_SYMMETRIC | ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL | ODE_ENERGY,
     .base = &midpoint,
     .a = "0.39216144400731413927925056 0.33259913678935943859974864 -0.70624617255763935980996482 "
          "0.08221359629355080023149045 0.79854399093482996339895034 0.08221359629355080023149045 "
          "-0.70624617255763935980996482 0.33259913678935943859974864 0.39216144400731413927925056",
     .source = "Kahan and Li (1997), Math. Comp. 66, 1089-1099: nine steps"},
    {.name = "avf6-order4",
     .driver = &ode_compose_driver,
     .order = 4,
     .order_general = 4,
     .stages = 5,
     .flags = ODE_SYMMETRIC | ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL,
     .base = &average,
     .a = "0.414490771794375737142354062860761496 0.414490771794375737142354062860761496 "
          "-0.657963087177502948569416251443045983 0.414490771794375737142354062860761496 "
          "0.414490771794375737142354062860761496",
     .source = "Suzuki (1990), Phys. Lett. A 146, 319-323: five steps"},
    {.name = "avf6-order6",
     .driver = &ode_compose_driver,
     .order = 6,
     .order_general = 6,
     .stages = 9,
     .flags = ODE_SYMMETRIC | ODE_EXACT_ENERGY,
     .needs = ODE_CANONICAL,
     .base = &average,
     .a = "0.39216144400731413927925056 0.33259913678935943859974864 -0.70624617255763935980996482 "
          "0.08221359629355080023149045 0.79854399093482996339895034 0.08221359629355080023149045 "
          "-0.70624617255763935980996482 0.33259913678935943859974864 0.39216144400731413927925056",
     .source = "Kahan and Li (1997), Math. Comp. 66, 1089-1099: nine steps"},
};
ODE_HIDDEN const int ode_rows_implicit_count = sizeof ode_rows_implicit / sizeof *ode_rows_implicit;
